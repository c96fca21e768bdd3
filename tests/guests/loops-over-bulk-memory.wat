;; Spends its time in single instructions that each write all of its memory.
;; ends: Deadline "was not done after"
(module
  (memory (export "memory") 512)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export}
    (loop $again
      (memory.fill (i32.const 0) (i32.const 170) (i32.const 33554432))
      (br $again))
    (unreachable)))
