;; Wants threads.
;; ends: Compile "threads"
(component
  (core module (memory 1 2 shared)))
