;; Has more memory to begin with than its budget: 100 MiB.
;; ends: Memory "64 MiB of memory"
(module
  (memory (export "memory") 1600)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (unreachable)))
