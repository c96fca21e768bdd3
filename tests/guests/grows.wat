;; Takes memory until there is none.
;; ends: Memory "64 MiB of memory"
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export}
    (loop $again
      (drop (memory.grow (i32.const 16)))
      (br $again))
    (unreachable)))
