;;; foretype-session-tests.el --- A person renames a variable, in batch  -*- lexical-binding: t; -*-

;;; Commentary:

;; Run by test_emacs.py, which starts Emacs where foretype and its model are.
;; What is typed goes through the commands that keys run.

;;; Code:

(require 'ert)
(require 'foretype)

(defvar patience-seconds 60)

(defun wait-until (condition what)
  "Return once CONDITION is true; WHAT is for the message where it is not."
  (let ((deadline (time-add nil patience-seconds)))
    (while (not (funcall condition))
      (when (time-less-p deadline nil)
        (ert-fail (list what (foretype--sentence) (buffer-string))))
      (accept-process-output nil 0.02))))

(defun look-at (buffer)
  "Show BUFFER; in batch nothing is redisplayed, which runs what a change of windows runs."
  (switch-to-buffer buffer)
  (run-hook-with-args 'window-buffer-change-functions nil))

(defun prices (name)
  "Visit a copy of the program under NAME, with the mode on and the daemon there."
  (copy-file "prices.py" name)
  (look-at (find-file-noselect name))
  (buffer-enable-undo)
  (foretype-mode)
  (wait-until (lambda () foretype-server--uri) "the daemon is told"))

(defun rename ()
  "Type over the name where it is defined."
  (goto-char (point-min))
  (search-forward "    ")
  (kill-word 1)
  (undo-boundary)
  (insert "amount")
  (undo-boundary))

(defun drawn ()
  "The texts that are drawn, in the order of the buffer."
  (let (texts)
    (dolist (overlay (sort (overlays-in (point-min) (1+ (point-max)))
                           (lambda (one other) (< (overlay-start one) (overlay-start other)))))
      (when (overlay-get overlay 'after-string)
        (push (substring-no-properties (overlay-get overlay 'after-string)) texts)))
    (nreverse texts)))

(defun marked ()
  "What is marked as going."
  (mapcar (lambda (overlay) (buffer-substring-no-properties (overlay-start overlay) (overlay-end overlay)))
          (cl-remove-if-not (lambda (overlay) (eq (overlay-get overlay 'face) 'foretype-removed))
                            (overlays-in (point-min) (point-max)))))

(defun wait-for-edit (line)
  "Return once an edit is shown in LINE."
  (wait-until (lambda () (and foretype--shown
                              (= line (line-number-at-pos (foretype-edit-start foretype--shown)))))
              (format "an edit in line %s" line)))

(defun line (number)
  (save-excursion
    (goto-char (point-min))
    (forward-line (1- number))
    (buffer-substring-no-properties (point) (line-end-position))))

(ert-deftest a-rename-is-shown-jumped-to-accepted-chained-dismissed-and-undone ()
  (prices "renamed.py")
  (rename)
  (wait-for-edit 4)
  (should (equal (drawn) '("amount")))
  (should (equal (marked) '("total")))
  (should (equal (foretype--sentence) "line 4"))
  (let ((before (buffer-string)))
    (foretype-jump-or-accept)
    (should (equal (buffer-string) before))
    (should (= (line-number-at-pos) 4))
    (let ((place (point)))
      (end-of-line)
      (setq place (point))
      (foretype-jump-or-accept)
      (should (equal (line 4) "        amount += order.price"))
      (should (looking-back "amount" (line-beginning-position)))
      (wait-for-edit 7)
      (should (equal (foretype--sentence) "line 7 (same answer)"))
      (foretype-dismiss)
      (should-not (drawn))
      (should (equal (foretype--sentence) "dismissed"))
      (should-error (foretype-accept) :type 'user-error)
      (undo-boundary)
      (undo)
      (should (equal (buffer-string) before))
      (should (= (point) place)))))

(ert-deftest a-word-of-it-is-accepted-and-the-rest-stays ()
  (prices "words.py")
  (goto-char (point-min))
  (search-forward "total += order.price")
  (replace-match "total = max(total, order.price)")
  (rename)
  (wait-for-edit 4)
  (should (equal (drawn) '("amount = max(amount")))
  (foretype-accept-word)
  (wait-until (lambda () (equal (line 4) "        amount = max(total, order.price)")) "the first word")
  (wait-for-edit 4)
  (should (equal (drawn) '("amount")))
  (foretype-accept-line)
  (wait-until (lambda () (equal (line 4) "        amount = max(amount, order.price)")) "the rest"))

(ert-deftest what-is-shown-vanishes-with-the-next-key-and-nothing-is-asked-where-delay-is-nil ()
  (prices "typed.py")
  (rename)
  (wait-for-edit 4)
  (let ((foretype-delay nil))
    (insert "s")
    (should-not (drawn))
    (should-not foretype--timer)
    (foretype-predict)
    (wait-for-edit 4)
    (should (equal (drawn) '("amounts")))))

(ert-deftest keys-are-in-force-while-an-edit-is-shown-and-the-region-is-not ()
  (let ((foretype-shown-map foretype-shown-map) (transient-mark-mode t))
    (define-key foretype-shown-map (kbd "TAB") #'foretype-jump-or-accept)
    (prices "keys.py")
    (should-not (eq (key-binding (kbd "TAB")) #'foretype-jump-or-accept))
    (rename)
    (wait-for-edit 4)
    (should (eq (key-binding (kbd "TAB")) #'foretype-jump-or-accept))
    (push-mark (point-min) t t)
    (run-hooks 'post-command-hook)
    (should-not (eq (key-binding (kbd "TAB")) #'foretype-jump-or-accept))))

(ert-deftest without-the-program-the-mode-line-says-so ()
  (let ((foretype-command '("/nonexistent/foretype")) (foretype-server-failure nil)
        (foretype-server--connection nil) (foretype-server--is-ready nil))
    (look-at (get-buffer-create "elsewhere"))
    (should-not foretype--shown) ; it went with the buffer it was shown in
    (with-temp-buffer
      (foretype-mode)
      (should (string-match-p "no program /nonexistent/foretype" (foretype--sentence)))
      (should (string-prefix-p "there is no program" (nth 1 (foretype--lighter)))))))

(ert-deftest an-end-of-the-daemon-costs-nothing-but-predictions ()
  (prices "ended.py")
  (delete-process (jsonrpc--process foretype-server--connection))
  (wait-until (lambda () foretype-server-failure) "it is noticed")
  (rename)
  (should (string-match-p "has ended" (foretype--sentence)))
  (foretype-restart)
  (wait-until (lambda () foretype-server--uri) "the daemon is told anew")
  (foretype-predict) ; it knows nothing of the rename, but answers
  (wait-until (lambda () (not (equal (foretype--sentence) "nothing was asked yet"))) "an answer"))

(defun backend (report &rest _)
  "A checker for flymake that finds fault with the last name of line 6; REPORT hears it."
  (let ((place (save-excursion (goto-char (point-min)) (search-forward "orders[0]") (match-beginning 0))))
    (funcall report (list (flymake-make-diagnostic (current-buffer) place (+ place 6) :warning "may be empty")))))

(ert-deftest what-flymake-found-goes-with-the-question ()
  (prices "problems.py")
  (add-hook 'flymake-diagnostic-functions #'backend nil t)
  (flymake-mode)
  (flymake-start)
  (wait-until (lambda () (flymake-diagnostics)) "a problem")
  (should (equal (foretype--diagnostics)
                 [(:range (:start (:line 5 :character 23) :end (:line 5 :character 29))
                   :severity 2 :message "may be empty")])) ; the file has an astral character in this line
  (rename)
  (wait-for-edit 4)
  (foretype-accept)
  (wait-for-edit 7))

(provide 'foretype-session-tests)
;;; foretype-session-tests.el ends here
