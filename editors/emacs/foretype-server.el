;;; foretype-server.el --- The connection to foretype and the documents it knows  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; One process for all buffers: a buffer's own language server is another one,
;; so this goes along with eglot, lsp-mode, or neither.  It knows nothing of
;; how an edit is shown.

;;; Code:

(require 'cl-lib)
(require 'jsonrpc)
(require 'project)
(require 'url-util)
(require 'foretype-text)

(defgroup foretype nil
  "Your next edit, predicted on your own machine."
  :group 'tools
  :prefix "foretype-")

(defcustom foretype-command '("foretype" "lsp" "--stdio")
  "The program that predicts, and its arguments."
  :type '(repeat string))

(defcustom foretype-settings nil
  "Settings of foretype itself for this Emacs, as a property list.
For example (:eagerness \"quiet\").  Its docs/settings.md says what an editor
may say for itself."
  :type 'plist
  :risky t)

(defcustom foretype-language-ids
  '(("c++" . "cpp") ("js" . "javascript") ("js2" . "javascript") ("sh" . "shellscript")
    ("bash" . "shellscript") ("tsx" . "typescriptreact") ("emacs-lisp" . "elisp"))
  "LSP's names of languages, where a major mode has another name."
  :type '(alist :key-type string :value-type string))

(defvar foretype-server--connection nil
  "The connection, or nil.")

(defvar foretype-server--is-ready nil
  "Whether the connection can be used.")

(defvar foretype-server--folders nil
  "The workspace folders the daemon was told of, as URIs.")

(defvar foretype-server--said nil
  "What the daemon last said of itself: (:kind :message :busy).")

(defvar foretype-server-failure nil
  "Why there is no connection, or nil.")

(defvar foretype-server-reason nil
  "Why the last question got no edit.")

(defvar foretype-server-news-hook nil
  "Run when any of these may have changed.")

(defvar-local foretype-server--uri nil
  "The URI under which the daemon knows this buffer; nil when it does not.")

(defvar-local foretype-server--version 0
  "The version of the buffer's text that the daemon has.")

(defun foretype-server-sentence ()
  "Why nothing is shown, or an empty text."
  (let ((message (plist-get foretype-server--said :message)))
    (cond (foretype-server-failure)
          ((not foretype-server--is-ready) "starting")
          ((and message (not (string-empty-p message))) message)
          (t (or foretype-server-reason "nothing was asked yet")))))

;;; Documents

(defun foretype-server-uri (path)
  "The URI of PATH."
  (concat "file://" (url-hexify-string (expand-file-name path) url-path-allowed-chars)))

(defun foretype-server-buffer (uri)
  "The buffer that the daemon knows as URI, or nil."
  (cl-find uri (buffer-list)
           :key (lambda (buffer) (buffer-local-value 'foretype-server--uri buffer))
           :test #'equal))

(defun foretype-server-identifier ()
  "The buffer's document and version."
  (list :uri foretype-server--uri :version foretype-server--version))

(defun foretype-server--root ()
  "The URI of the folder that this buffer belongs to."
  (let ((project (project-current)))
    (foretype-server-uri (directory-file-name (if project (project-root project) default-directory)))))

(defun foretype-server--language ()
  "LSP's name of the buffer's language."
  (let ((name (replace-regexp-in-string "\\(-ts\\)?-mode\\'" "" (symbol-name major-mode))))
    (or (cdr (assoc name foretype-language-ids)) name)))

(defun foretype-server-open ()
  "Tell the daemon of this buffer; connect first where that was not done yet."
  (foretype-text-watch)
  (unless (or foretype-server--connection foretype-server-failure)
    (foretype-server--connect))
  (when foretype-server--is-ready
    (foretype-server--did-open)))

(defun foretype-server--did-open ()
  "Tell the daemon the text of this buffer."
  (let ((text (foretype-text-of-buffer)) (root (foretype-server--root)))
    (foretype-text-take-changes)
    (when (foretype-text-is-unicode-p text)
      (unless (member root foretype-server--folders)
        (push root foretype-server--folders)
        (foretype-server-notify
         'workspace/didChangeWorkspaceFolders
         (list :event (list :added (vector (list :uri root :name root)) :removed []))))
      (setq foretype-server--uri
            (if buffer-file-name (foretype-server-uri buffer-file-name)
              (concat "untitled:" (url-hexify-string (buffer-name))))
            foretype-server--version (1+ foretype-server--version))
      (foretype-server-notify
       'textDocument/didOpen
       (list :textDocument (append (foretype-server-identifier)
                                   (list :languageId (foretype-server--language) :text text)))))))

(defun foretype-server-close ()
  "Tell the daemon that this buffer is gone."
  (foretype-text-unwatch)
  (when foretype-server--uri
    (foretype-server-notify 'textDocument/didClose (list :textDocument (list :uri foretype-server--uri)))
    (setq foretype-server--uri nil)))

(defun foretype-server-sync ()
  "Tell the daemon how this buffer became what it is.
Non-nil when it has the text as it is now."
  (let ((changes (and foretype-server--uri (foretype-text-take-changes))))
    (cond
     ((null foretype-server--uri) nil)
     ((null changes) t)
     ((cl-every (lambda (change) (foretype-text-is-unicode-p (plist-get change :text))) changes)
      (cl-incf foretype-server--version)
      (foretype-server-notify
       'textDocument/didChange
       (list :textDocument (foretype-server-identifier) :contentChanges changes))
      t)
     (t (foretype-server-close) ; what is no character has no place in JSON
        nil))))

;;; The connection

(defun foretype-server--can-send-p ()
  "Whether the daemon can be told something."
  (and foretype-server--is-ready (jsonrpc-running-p foretype-server--connection)))

(defun foretype-server-notify (method params)
  "Tell the daemon METHOD with PARAMS, if it is there."
  (when (foretype-server--can-send-p)
    (jsonrpc-notify foretype-server--connection method params)))

(defun foretype-server-ask (method params then)
  "Ask METHOD with PARAMS, and call THEN with the result.
An error of the daemon becomes the reason why nothing is shown."
  (when (foretype-server--can-send-p)
    (jsonrpc-async-request
     foretype-server--connection method params
     :timeout nil
     :success-fn then
     :error-fn (lambda (problem)
                 (setq foretype-server-reason (plist-get problem :message))
                 (run-hooks 'foretype-server-news-hook)))))

(defun foretype-server--connect ()
  "Start the program and initialise."
  (setq foretype-server--folders nil foretype-server--said nil)
  (if (not (executable-find (car foretype-command)))
      (foretype-server--fail (format "there is no program %s; see `foretype-command'" (car foretype-command)))
    (let ((connection (foretype-server--new-connection)))
      (setq foretype-server--connection connection)
      (jsonrpc-async-request
       connection 'initialize (foretype-server--initial-parameters)
       :timeout nil
       :success-fn (lambda (_) (foretype-server--initialized connection))
       :error-fn (lambda (problem) (foretype-server--fail (plist-get problem :message)))))))

(defun foretype-server--fail (reason)
  "Note the REASON why there is no connection."
  (setq foretype-server-failure reason)
  (run-hooks 'foretype-server-news-hook))

(defun foretype-server--new-connection ()
  "Start the program."
  (jsonrpc-process-connection
   :name "foretype"
   :events-buffer-scrollback-size 0 ; it would hold what is typed
   :notification-dispatcher #'foretype-server--hear
   :request-dispatcher #'foretype-server--answer
   :on-shutdown #'foretype-server--ended
   :process (lambda ()
              (make-process
               :name "foretype" :command foretype-command :connection-type 'pipe
               :coding 'utf-8-emacs-unix :noquery t
               :stderr (get-buffer-create "*foretype stderr*")))))

(defun foretype-server--initial-parameters ()
  "What the daemon is told of this Emacs."
  (list :processId (emacs-pid)
        :clientInfo (list :name "Emacs" :version emacs-version)
        :workspaceFolders []
        :initializationOptions (list :editorInfo (list :name "Emacs" :version emacs-version)
                                     :foretype (or foretype-settings (make-hash-table)))
        :capabilities
        (list :experimental
              (list :foretype (list :otherFiles t :severalEdits :json-false)))))

(defun foretype-server--initialized (connection)
  "CONNECTION can be used: open every buffer that wants it."
  (setq foretype-server--is-ready t)
  (jsonrpc-notify connection 'initialized (make-hash-table))
  (dolist (buffer (buffer-list))
    (with-current-buffer buffer
      (when (bound-and-true-p foretype-mode)
        (foretype-server--did-open))))
  (run-hooks 'foretype-server-news-hook))

(defun foretype-server--hear (_connection method params)
  "Take METHOD with PARAMS from the daemon."
  (when (eq method 'didChangeStatus)
    (setq foretype-server--said params)
    (run-hooks 'foretype-server-news-hook)))

(defun foretype-server--answer (_connection method _params)
  "The daemon asks METHOD, which nothing here answers but with nothing."
  (unless (memq method '(window/workDoneProgress/create client/registerCapability window/showMessageRequest))
    (jsonrpc-error :code -32601 :message "no such method")))

(defun foretype-server--ended (connection)
  "CONNECTION is over."
  (when (eq connection foretype-server--connection)
    (setq foretype-server--connection nil foretype-server--is-ready nil)
    (foretype-server--forget-documents)
    (foretype-server--fail "foretype has ended; M-x foretype-restart starts it again")))

(defun foretype-server--forget-documents ()
  "No daemon knows any buffer."
  (dolist (buffer (buffer-list))
    (with-current-buffer buffer
      (kill-local-variable 'foretype-server--uri))))

(defun foretype-server-restart ()
  "End the connection, if there is one, and make another."
  (let ((connection foretype-server--connection))
    (setq foretype-server--connection nil foretype-server--is-ready nil foretype-server-failure nil)
    (when (and connection (jsonrpc-running-p connection))
      (jsonrpc-shutdown connection))
    (foretype-server--forget-documents)
    (foretype-server--connect)))

(provide 'foretype-server)
;;; foretype-server.el ends here
