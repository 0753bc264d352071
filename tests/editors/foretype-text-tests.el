;;; foretype-text-tests.el --- Positions and changes against a plain model of LSP  -*- lexical-binding: t; -*-

;;; Commentary:

;; The model holds what a server would: it applies the changes that were taken,
;; in UTF-16 units and with LSP's line ends, to the text it was told first.
;; Texts and changes are random, from a seed that is printed on failure.

;;; Code:

(require 'cl-lib)
(require 'ert)
(require 'foretype-text)

(defconst pieces ["a" "b" "é" "😀" "𝔘" "\n" " " "e\u0301" "\f" "\u2028" "日本"])
(defconst pieces-with-carriage-returns (vconcat pieces ["\r" "\r\n"]))

(defun random-text (alphabet)
  (mapconcat (lambda (_) (aref alphabet (random (length alphabet)))) (make-list (random 12) nil) ""))

;;; The model: a text as a list of UTF-16 units would be; here a string and plain counting.

(defun model-offset (text position)
  "The index in TEXT of an LSP POSITION, by counting from the start."
  (let ((index 0) (line 0) (units (plist-get position :character)))
    (while (< line (plist-get position :line))
      (pcase (aref text index)
        (?\n (cl-incf line))
        (?\r (unless (eq (and (< (1+ index) (length text)) (aref text (1+ index))) ?\n) (cl-incf line))))
      (cl-incf index))
    (while (> units 0)
      (cl-decf units (if (> (aref text index) #xffff) 2 1))
      (cl-incf index))
    (should (zerop units))
    index))

(defun model-apply (text changes)
  (cl-reduce
   (lambda (text change)
     (let ((range (plist-get change :range)))
       (if (null range)
           (plist-get change :text)
         (concat (substring text 0 (model-offset text (plist-get range :start)))
                 (plist-get change :text)
                 (substring text (model-offset text (plist-get range :end)))))))
   changes :initial-value text))

(defun any-position ()
  (+ (point-min) (random (1+ (- (point-max) (point-min))))))

(defun any-region ()
  (sort (list (any-position) (any-position)) #'<))

(defun change-somehow (alphabet)
  "Change the buffer in one of the ways in which a person or Emacs does."
  (pcase-let ((`(,start ,end) (any-region)))
    (pcase (random 9)
      (0 (goto-char start) (insert (random-text alphabet)))
      (1 (delete-region start end))
      (2 (upcase-region start end))
      (3 (subst-char-in-region start end ?a ?b))
      (4 (goto-char (point-min)) (while (re-search-forward "b" nil t) (replace-match "aé")))
      (5 (save-restriction (narrow-to-region start end) (goto-char (point-max)) (insert "x😀")))
      (6 (transpose-regions (point-min) start end (point-max)))
      (7 (let ((inhibit-modification-hooks nil)) (primitive-undo 1 buffer-undo-list)))
      (8 (atomic-change-group (goto-char start) (insert "1") (delete-char -1) (insert "2")))))
  (undo-boundary))

(defun check-changes (alphabet rounds)
  (dotimes (round rounds)
    (let ((seed (format "%s-%s" (length alphabet) round)))
      (random seed)
      (ert-info ((format "seed %s" seed))
        (with-temp-buffer
          (buffer-enable-undo)
          (insert (random-text alphabet) (random-text alphabet) (random-text alphabet))
          (undo-boundary)
          (foretype-text-watch)
          (let ((told (foretype-text-of-buffer)))
            (dotimes (_ 6)
              (dotimes (_ (1+ (random 3)))
                (condition-case nil
                    (change-somehow alphabet)
                  ((args-out-of-range error) nil)))
              (setq told (model-apply told (foretype-text-take-changes)))
              (should (equal told (foretype-text-of-buffer))))))))))

(ert-deftest a-server-that-applies-the-changes-has-the-text-of-the-buffer ()
  (check-changes pieces 300))

(ert-deftest also-where-emacs-did-not-decode-the-line-ends ()
  (check-changes pieces-with-carriage-returns 150))

(ert-deftest a-key-is-sent-as-a-change-and-not-as-the-whole-text ()
  (with-temp-buffer
    (insert "one\n😀 two\n")
    (foretype-text-watch)
    (goto-char (+ (point-min) 5))
    (insert "x")
    (should (equal (foretype-text-take-changes)
                   [(:range (:start (:line 1 :character 2) :end (:line 1 :character 2)) :text "x")]))
    (should-not (foretype-text-take-changes))))

(ert-deftest positions-there-and-back ()
  (dolist (alphabet (list pieces pieces-with-carriage-returns))
    (dotimes (round 200)
      (random (format "positions-%s" round))
      (with-temp-buffer
        (insert (random-text alphabet) (random-text alphabet))
        (let* ((place (any-position)) (position (foretype-text-position place)))
          (unless (and (eq (char-before place) ?\r) (eq (char-after place) ?\n))
            (should (= (foretype-text-point position) place))
            (should (= (1+ (model-offset (buffer-string) position)) place))))))))

(ert-deftest a-line-end-has-no-inside ()
  (with-temp-buffer
    (insert "ab\r\ncd")
    (should (equal (foretype-text-position 4) '(:line 0 :character 2)))))

(ert-deftest a-position-behind-the-end-of-its-line-is-that-end ()
  (with-temp-buffer
    (insert "ab\r\ncd")
    (should (= (foretype-text-point '(:line 0 :character 99)) 3))
    (should (= (foretype-text-point '(:line 7 :character 0)) (point-max)))))

(ert-deftest a-file-with-dos-line-ends-is-lines-like-any-other ()
  (let ((file (make-temp-file "dos")))
    (unwind-protect
        (progn
          (let ((coding-system-for-write 'utf-8-dos)) (write-region "a\n😀b\n" nil file nil 'quiet))
          (with-current-buffer (find-file-noselect file)
            (should (equal (foretype-text-of-buffer) "a\n😀b\n"))
            (should (equal (foretype-text-position (- (point-max) 1)) '(:line 1 :character 3)))
            (kill-buffer)))
      (delete-file file))))

(ert-deftest an-undo-is-a-change-like-any-other ()
  (with-temp-buffer
    (buffer-enable-undo)
    (insert "a 😀 b")
    (undo-boundary)
    (foretype-text-watch)
    (let ((told (foretype-text-of-buffer)))
      (delete-region 2 5)
      (undo-boundary)
      (setq told (model-apply told (foretype-text-take-changes)))
      (primitive-undo 1 (cdr buffer-undo-list))
      (setq told (model-apply told (foretype-text-take-changes)))
      (should (equal told "a 😀 b")))))

(ert-deftest raw-bytes-are-no-text ()
  (should (foretype-text-is-unicode-p "a😀\u2028"))
  (should-not (foretype-text-is-unicode-p (string-to-multibyte "a\xff")))
  (should-not (foretype-text-is-unicode-p (string #xd800))))

(provide 'foretype-text-tests)
;;; foretype-text-tests.el ends here
