;; Spends its time in single instructions that each move all of its memory.
;; ends: Deadline "was not done after"
(module
  (memory (export "memory") 512)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export}
    (loop $again
      (memory.copy (i32.const 0) (i32.const 1) (i32.const 33554431))
      (br $again))
    (unreachable)))
