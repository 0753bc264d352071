;;; foretype-text.el --- Positions and changes as LSP counts them  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; LSP counts lines and UTF-16 code units from 0, and a line of it ends at a
;; line feed, a carriage return, or both together.  A buffer has a carriage
;; return only where Emacs did not decode the line ends.  This file translates,
;; and notes what changes in a buffer.  It knows nothing of the daemon.

;;; Code:

(require 'cl-lib)

(defconst foretype-text--line-end "\r\n\\|[\r\n]"
  "What ends a line in LSP.")

(defconst foretype-text--no-unicode '(eight-bit eight-bit-control eight-bit-graphic emacs)
  "Character sets of Emacs for what has no place in Unicode: raw bytes above all.")

(defconst foretype-text--many-changes 50
  "With more changes than this at once, the whole text is sent.")

(defvar-local foretype-text--pending nil
  "Changes that were not taken yet, the newest first, or t for all of the text.")

(defvar-local foretype-text--before nil
  "What is about to change: (START END RANGE), or nil.")

(defun foretype-text-of-buffer ()
  "The whole text of the buffer."
  (save-restriction
    (widen)
    (buffer-substring-no-properties (point-min) (point-max))))

(defun foretype-text-is-unicode-p (text)
  "Whether TEXT can be sent as JSON."
  (not (or (string-match-p "[\ud800-\udfff]" text) ; halves of a character
           (cl-intersection (find-charset-string text) foretype-text--no-unicode))))

(defun foretype-text--has-carriage-return-p ()
  "Whether a line of the widened buffer may end in another way than a line feed."
  (save-excursion
    (goto-char (point-min))
    (search-forward "\r" nil t)))

(defun foretype-text--units (start end)
  "The UTF-16 code units between START and END."
  (let ((units (- end start)))
    (save-excursion
      (goto-char start)
      (while (re-search-forward "[\x10000-\x10ffff]" end t)
        (cl-incf units)))
    units))

(defun foretype-text-position (&optional position)
  "The LSP position of POSITION, or of point."
  (save-excursion
    (save-restriction
      (widen)
      (goto-char (or position (point)))
      (when (and (eq (char-before) ?\r) (eq (char-after) ?\n))
        (backward-char)) ; a line end has no inside
      (if (foretype-text--has-carriage-return-p)
          (let ((end (point)) (line 0) (start (point-min)))
            (goto-char start)
            (while (re-search-forward foretype-text--line-end end t)
              (setq line (1+ line) start (point)))
            (list :line line :character (foretype-text--units start end)))
        (list :line (1- (line-number-at-pos nil t))
              :character (foretype-text--units (line-beginning-position) (point)))))))

(defun foretype-text-point (position)
  "The point of the LSP POSITION; beyond the end of its line, that end."
  (save-excursion
    (save-restriction
      (widen)
      (goto-char (point-min))
      (let ((units (plist-get position :character)))
        (if (foretype-text--has-carriage-return-p)
            (unless (re-search-forward foretype-text--line-end nil t (plist-get position :line))
              (unless (zerop (plist-get position :line)) (goto-char (point-max))))
          (forward-line (plist-get position :line)))
        (while (and (> units 0) (not (memq (char-after) '(?\n ?\r nil))))
          (setq units (- units (if (> (char-after) #xffff) 2 1)))
          (forward-char)))
      (point))))

(defun foretype-text-range (start end)
  "The LSP range from START to END."
  (list :start (foretype-text-position start) :end (foretype-text-position end)))

;;; What changes

(defun foretype-text-watch ()
  "Begin to note each change of this buffer."
  (setq foretype-text--pending nil foretype-text--before nil)
  (add-hook 'before-change-functions #'foretype-text--before-change nil t)
  (add-hook 'after-change-functions #'foretype-text--after-change nil t))

(defun foretype-text-unwatch ()
  "End it."
  (remove-hook 'before-change-functions #'foretype-text--before-change t)
  (remove-hook 'after-change-functions #'foretype-text--after-change t))

(defun foretype-text-take-changes ()
  "Take what was noted, in the form of LSP, for the daemon to be told."
  (prog1
      (pcase foretype-text--pending
        ('nil nil)
        ('t (vector (list :text (foretype-text-of-buffer))))
        (changes (vconcat (reverse changes))))
    (setq foretype-text--pending nil)))

(defun foretype-text--before-change (start end)
  "Note that the text from START to END is about to change."
  (unless (eq foretype-text--pending t)
    (setq foretype-text--before
          (save-restriction
            (widen)
            (if (foretype-text--has-carriage-return-p)
                nil ; a change may join or part a line end; all of the text says so
              (list start end (foretype-text-range start end)))))))

(defun foretype-text--after-change (start end old-length)
  "Note what stands from START to END in the place of OLD-LENGTH characters.
The announcement of it may have been about more text than this."
  (pcase-let ((`(,before-start ,before-end ,range) foretype-text--before))
    (setq foretype-text--before nil)
    (cond
     ((eq foretype-text--pending t))
     ((or (null before-start)
          (< start before-start)
          (> (+ start old-length) before-end)
          (>= (length foretype-text--pending) foretype-text--many-changes))
      (setq foretype-text--pending t))
     (t
      (let ((text (save-restriction
                    (widen)
                    (buffer-substring-no-properties before-start (+ before-end (- end start) (- old-length))))))
        (push (list :range range :text text) foretype-text--pending))))))

(provide 'foretype-text)
;;; foretype-text.el ends here
