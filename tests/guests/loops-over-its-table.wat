;; Spends its time in single instructions that each write all of its table.
;; ends: Deadline "was not done after"
(module
  (memory (export "memory") 1)
  (table $t 65536 funcref)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export}
    (loop $again
      (table.fill $t (i32.const 0) (ref.null func) (i32.const 65536))
      (br $again))
    (unreachable)))
