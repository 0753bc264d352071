;;; foretype.el --- Your next edit, predicted on your own machine  -*- lexical-binding: t; -*-

;; Author: The foretype authors
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1"))
;; Keywords: convenience, tools
;; URL: https://github.com/foretype/foretype
;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; `foretype-mode' asks the daemon foretype for the next edit while you type,
;; shows it where it is made, goes there, applies it, and shows the one after
;; it.  It takes no key: README.md suggests some for `foretype-shown-map', which
;; is in force while an edit is shown and nothing else wants the keys.

;;; Code:

(require 'cl-lib)
(require 'flymake)
(require 'foretype-server)
(require 'foretype-text)
(eval-when-compile (require 'rx))

(defcustom foretype-delay 0.1
  "Seconds without a change after which the next edit is asked for.
With 1 or so nothing is drawn while you type.  With nil nothing is asked for
but with `foretype-predict'."
  :type '(choice (const :tag "Only when asked" nil) number)
  :group 'foretype)

(defcustom foretype-mode-line-width 30
  "How many characters of the reason why nothing is shown stand in the mode line."
  :type 'integer
  :group 'foretype)

(defface foretype-removed '((t :inherit diff-removed :strike-through t))
  "What goes with the edit that is shown."
  :group 'foretype)

(defface foretype-added '((t :inherit diff-added))
  "What comes with it."
  :group 'foretype)

(defface foretype-label '((t :inherit shadow :slant italic))
  "Where it is, when that can not be seen."
  :group 'foretype)

(defvar foretype-shown-map (make-sparse-keymap)
  "Keys that are in force while an edit is shown; there are none but yours.")

(cl-defstruct (foretype-edit (:constructor foretype-edit-make))
  "An edit of a BUFFER at a VERSION, between the markers START and END.
ASKED-IN is the buffer whose cursor it was predicted for."
  command id place text buffer version start end asked-in)

(defconst foretype--diagnostic-lines 40
  "How far from the cursor problems are passed on.")

(defvar foretype--shown nil
  "The edit that is shown, or nil.")

(defvar foretype--overlays nil
  "What draws it.")

(defvar foretype--timer nil
  "What asks after the delay, or nil.")

(defvar foretype--question 0
  "Counts the questions: an answer counts only while its question is the newest.")

(defvar foretype--has-keys nil
  "Whether `foretype-shown-map' is in force.")

(add-to-list 'emulation-mode-map-alists `((foretype--has-keys . ,foretype-shown-map)))

;;; Asking

(defun foretype--ask (buffer)
  "Ask for the next edit at the cursor of BUFFER."
  (foretype--give-up)
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (when (foretype-server-sync)
        (let ((mine (cl-incf foretype--question)) (identifier (foretype-server-identifier)))
          (foretype-server-ask
           'textDocument/copilotInlineEdit
           (list :textDocument identifier
                 :position (foretype-text-position (foretype--cursor))
                 :diagnostics (foretype--diagnostics))
           (lambda (result)
             (when (and (= mine foretype--question) (buffer-live-p buffer))
               (foretype--take result buffer)))))))))

(defun foretype--cursor ()
  "Point, in the selected window if that has this buffer."
  (if (eq (window-buffer) (current-buffer)) (window-point) (point)))

(defun foretype--take (result asked-in)
  "Show the edit of RESULT, an answer for the cursor of ASKED-IN.
Without one, find out why."
  (let ((edit (foretype--first-edit result asked-in)))
    (foretype--clear)
    (if edit
        (foretype--show edit)
      (foretype-server-ask 'foretype/status (make-hash-table)
                           (lambda (status)
                             (setq foretype-server-reason (plist-get status :reason))
                             (foretype--news))))))

(defun foretype--first-edit (result asked-in)
  "The first edit of RESULT, asked for in ASKED-IN.
Nil unless it is about the text as it is now."
  (let* ((edits (plist-get result :edits))
         (edit (and (> (length edits) 0) (aref edits 0)))
         (document (plist-get edit :textDocument))
         (buffer (and edit (foretype-server-buffer (plist-get document :uri)))))
    (when buffer
      (with-current-buffer buffer
        (when (and (null foretype-text--pending)
                   (equal (plist-get document :version) foretype-server--version))
          (let ((range (plist-get edit :range)) (command (plist-get edit :command)))
            (foretype-edit-make
             :command command
             :id (and command (aref (plist-get command :arguments) 0))
             :place (plist-get edit :place) :text (plist-get edit :text)
             :buffer buffer :version foretype-server--version :asked-in asked-in
             :start (copy-marker (foretype-text-point (plist-get range :start)))
             :end (copy-marker (foretype-text-point (plist-get range :end))))))))))

(defun foretype--diagnostics ()
  "The problems that flymake knows of near the cursor, in the form of LSP."
  (let ((around (lambda (lines) (save-excursion (forward-line lines) (point)))))
    (vconcat
     (mapcar (lambda (found)
               (list :range (foretype-text-range (flymake-diagnostic-beg found) (flymake-diagnostic-end found))
                     :severity (pcase (symbol-name (flymake-diagnostic-type found))
                                 ((rx "error") 1) ((rx "warning") 2) (_ 3))
                     :message (flymake-diagnostic-text found)))
             (and (bound-and-true-p flymake-mode)
                  (flymake-diagnostics (funcall around (- foretype--diagnostic-lines))
                                       (funcall around foretype--diagnostic-lines)))))))

(defun foretype--changed (&rest _)
  "The buffer changed: what is shown is over, and another edit is asked for soon."
  (foretype--clear)
  (foretype--give-up)
  (cl-incf foretype--question)
  (when (and foretype-delay (not undo-in-progress))
    (setq foretype--timer (run-with-timer foretype-delay nil #'foretype--ask (current-buffer)))))

(defun foretype--give-up ()
  "Do not ask after the delay."
  (when foretype--timer
    (cancel-timer foretype--timer)
    (setq foretype--timer nil)))

;;; Showing

(defun foretype--show (edit)
  "Draw EDIT and tell the daemon."
  (setq foretype--shown edit)
  (foretype--draw edit)
  (foretype-server-notify 'textDocument/didShowInlineEdit (list :item (list :command (foretype-edit-command edit))))
  (foretype--news))

(defun foretype--draw (edit)
  "Mark the old text of EDIT, and put the new text behind it.
Where that can not be seen, add a label with the place."
  (let ((start (foretype-edit-start edit)) (end (foretype-edit-end edit)))
    (with-current-buffer (foretype-edit-buffer edit)
      (foretype--overlay start end 'face 'foretype-removed)
      (foretype--overlay end end 'after-string (foretype--string (foretype-edit-text edit) 'foretype-added)))
    (with-current-buffer (foretype-edit-asked-in edit)
      (unless (and (eq (current-buffer) (foretype-edit-buffer edit))
                   (or noninteractive (pos-visible-in-window-p start)))
        (let ((end-of-line (line-end-position)))
          (foretype--overlay end-of-line end-of-line 'after-string
                             (foretype--string (concat "  → " (foretype--whereabouts edit)) 'foretype-label)))))))

(defun foretype--string (text face)
  "TEXT in FACE, with the cursor before it."
  (let ((string (propertize text 'face face)))
    (unless (string-empty-p string)
      (put-text-property 0 1 'cursor t string))
    string))

(defun foretype--overlay (start end property value)
  "Draw PROPERTY with VALUE from START to END."
  (let ((overlay (make-overlay start end)))
    (overlay-put overlay property value)
    (overlay-put overlay 'priority 100)
    (push overlay foretype--overlays)))

(defun foretype--whereabouts (edit)
  "Where EDIT is, in words."
  (with-current-buffer (foretype-edit-buffer edit)
    (concat (unless (eq (foretype-edit-asked-in edit) (foretype-edit-buffer edit))
              (concat (buffer-name) ", "))
            (format "line %d" (line-number-at-pos (foretype-edit-start edit) t)))))

(defun foretype--clear ()
  "Take what is shown off the screen."
  (mapc #'delete-overlay foretype--overlays)
  (setq foretype--overlays nil)
  (when foretype--shown
    (setq foretype--shown nil)
    (foretype--news)))

(defun foretype--decide (command edit)
  "Tell the daemon with COMMAND what became of EDIT."
  (foretype-server-notify 'workspace/executeCommand
                          (list :command command :arguments (vector (foretype-edit-id edit)))))

(defun foretype--left (&rest _)
  "Another buffer is shown: an edit that has nothing to do with it is over."
  (let ((edit foretype--shown))
    (unless (or (null edit)
                (minibufferp (window-buffer))
                (memq (window-buffer) (list (foretype-edit-buffer edit) (foretype-edit-asked-in edit))))
      (foretype--decide "foretype.didIgnore" edit)
      (foretype--clear))))

(defun foretype--set-keys ()
  "Let `foretype-shown-map' be in force while an edit is shown.
Whatever else may want the keys comes first."
  (setq foretype--has-keys
        (and foretype--shown
             (not (region-active-p))
             (not (bound-and-true-p completion-in-region-mode))
             (not (bound-and-true-p company-candidates))
             (not (bound-and-true-p yas--active-snippets)))))

(defun foretype--news ()
  "Something changed that the keys or the mode line depend on."
  (foretype--set-keys)
  (force-mode-line-update t))

(defun foretype--lighter ()
  "What stands in the mode line."
  (let ((sentence (foretype--sentence)))
    (list " foretype["
          (propertize (truncate-string-to-width sentence foretype-mode-line-width nil nil "…") 'help-echo sentence)
          "]")))

(defun foretype--sentence ()
  "What is shown, or why nothing is."
  (let ((edit foretype--shown))
    (cond (edit (concat (foretype--whereabouts edit)
                        (unless (member (foretype-edit-place edit) '(nil "here"))
                          (format " (%s)" (foretype-edit-place edit)))))
          ((and (bound-and-true-p foretype-mode) (null foretype-server--uri) foretype-server--is-ready)
           "the buffer has bytes that are no text")
          (t (foretype-server-sentence)))))

;;; Commands

(defun foretype--current ()
  "The edit that is shown; signals a `user-error' when there is none."
  (or foretype--shown (user-error "No edit is shown: %s" (foretype--sentence))))

(defun foretype--apply (start end text)
  "Replace what is between START and END by TEXT, as one step of undo.
Point goes behind it, and an undo takes it back to where it was."
  (undo-boundary)
  (unless (eq buffer-undo-list t)
    (push (point) buffer-undo-list))
  (goto-char start)
  (delete-region start end)
  (insert text)
  (undo-boundary)
  (when (eq (window-buffer) (current-buffer))
    (set-window-point nil (point))))

(defun foretype-predict ()
  "Ask for the next edit now."
  (interactive)
  (foretype--ask (current-buffer)))

(defun foretype-jump ()
  "Go to the edit that is shown."
  (interactive)
  (let ((edit (foretype--current)))
    (unless (eq (window-buffer) (foretype-edit-buffer edit))
      (switch-to-buffer (foretype-edit-buffer edit)))
    (push-mark nil t)
    (goto-char (foretype-edit-start edit))))

(defun foretype-accept ()
  "Apply the edit that is shown, and ask for the one after it."
  (interactive)
  (let ((edit (foretype--current)))
    (foretype--go-to-buffer edit)
    (foretype--apply (foretype-edit-start edit) (foretype-edit-end edit) (foretype-edit-text edit))
    (foretype-server-sync)
    (foretype--decide "foretype.didAccept" edit)
    (foretype--ask (current-buffer))))

(defun foretype--go-to-buffer (edit)
  "Show and select the buffer of EDIT."
  (unless (eq (current-buffer) (foretype-edit-buffer edit))
    (switch-to-buffer (foretype-edit-buffer edit))))

(defun foretype-jump-or-accept ()
  "Go to the edit that is shown; from one of its lines, apply it."
  (interactive)
  (let ((edit (foretype--current)))
    (if (and (eq (current-buffer) (foretype-edit-buffer edit))
             (<= (line-number-at-pos (foretype-edit-start edit) t)
                 (line-number-at-pos nil t)
                 (line-number-at-pos (foretype-edit-end edit) t)))
        (foretype-accept)
      (foretype-jump))))

(defun foretype--accept-part (unit)
  "Apply the first UNIT of the edit that is shown, and ask for the rest.
UNIT is \"word\" or \"line\"."
  (let ((edit (foretype--current)))
    (foretype-server-ask
     'foretype/part (list :id (foretype-edit-id edit) :unit unit)
     (lambda (result)
       (let ((part (foretype--first-edit result (foretype-edit-asked-in edit))))
         (when (and part (eq edit foretype--shown))
           (foretype--go-to-buffer edit)
           (foretype--apply (foretype-edit-start part) (foretype-edit-end part) (foretype-edit-text part))
           (foretype--ask (current-buffer))))))))

(defun foretype-accept-word ()
  "Apply the first word of the edit that is shown."
  (interactive)
  (foretype--accept-part "word"))

(defun foretype-accept-line ()
  "Apply the first line of the edit that is shown."
  (interactive)
  (foretype--accept-part "line"))

(defun foretype-dismiss ()
  "Take the edit off the screen; it is not shown again in this place."
  (interactive)
  (foretype--decide "foretype.didReject" (foretype--current))
  (foretype--clear)
  (setq foretype-server-reason "dismissed")
  (foretype--news))

(defun foretype-status ()
  "Say what is shown, or why nothing is."
  (interactive)
  (message "foretype: %s" (foretype--sentence)))

(defun foretype-restart ()
  "Start the connection to foretype anew."
  (interactive)
  (foretype--clear)
  (foretype-server-restart))

(defun foretype-consent (action)
  "Agree that foretype remembers how predictions turned out in this folder.
Or take it back: ACTION is \"grant\" or \"revoke\"."
  (interactive (list (completing-read "Consent: " '("grant" "revoke") nil t)))
  (let ((workspace (foretype-server--root)))
    (foretype-server-ask
     'foretype/consent (list :action "show" :workspace workspace)
     (lambda (found)
       (let ((question (format "%s\n\n%s %s? " (plist-get found :text) action workspace)))
         (when (yes-or-no-p question)
           (foretype-server-ask
            'foretype/consent
            (list :action action :workspace workspace :textVersion (plist-get found :textVersion))
            (lambda (now)
              (message "foretype: %s" (if (eq (plist-get now :granted) t) "remembers here" (plist-get now :reason)))))))))))

;;; Modes

(defun foretype--close ()
  "This buffer is gone."
  (when (and foretype--shown
             (memq (current-buffer) (list (foretype-edit-buffer foretype--shown) (foretype-edit-asked-in foretype--shown))))
    (foretype--clear))
  (foretype-server-close))

(defun foretype--renamed ()
  "This buffer visits another file."
  (foretype--close)
  (foretype-server-open))

;;;###autoload
(define-minor-mode foretype-mode
  "Show the next edit while you type."
  :lighter (:eval (foretype--lighter))
  (cond
   ((and foretype-mode (or (buffer-base-buffer) (file-remote-p default-directory)))
    (setq foretype-mode nil)
    (message "foretype: no predictions in indirect buffers and in files of other machines"))
   (foretype-mode
    (foretype-server-open) ; its hooks come first: a change is noted before another edit is asked for
    (add-hook 'after-change-functions #'foretype--changed 90 t)
    (add-hook 'post-command-hook #'foretype--set-keys nil t)
    (add-hook 'kill-buffer-hook #'foretype--close nil t)
    (add-hook 'change-major-mode-hook #'foretype--close nil t)
    (add-hook 'after-set-visited-file-name-hook #'foretype--renamed nil t)
    (add-hook 'window-selection-change-functions #'foretype--left)
    (add-hook 'window-buffer-change-functions #'foretype--left)
    (add-hook 'foretype-server-news-hook #'foretype--news))
   (t
    (remove-hook 'after-change-functions #'foretype--changed t)
    (remove-hook 'post-command-hook #'foretype--set-keys t)
    (remove-hook 'kill-buffer-hook #'foretype--close t)
    (remove-hook 'change-major-mode-hook #'foretype--close t)
    (remove-hook 'after-set-visited-file-name-hook #'foretype--renamed t)
    (foretype--close))))

(defun foretype--turn-on ()
  "Turn `foretype-mode' on in a buffer that visits a file."
  (when buffer-file-name
    (foretype-mode)))

;;;###autoload
(define-globalized-minor-mode global-foretype-mode foretype-mode foretype--turn-on
  :group 'foretype)

(provide 'foretype)
;;; foretype.el ends here
