;; Wants a memory that no budget bounds well.
;; ends: Compile "memory64"
(component
  (core module (memory i64 1)))
