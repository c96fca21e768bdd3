;; Takes table elements, which are the host's memory, until there are none.
;; ends: Memory "65536 table elements"
(module
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export}
    (loop $again
      (drop (table.grow $t (ref.null func) (i32.const 4096)))
      (br $again))
    (unreachable)))
