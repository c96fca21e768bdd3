;; Has more memory to begin with than any budget can give: 1 GiB.
;; ends: Compile "memory"
(module
  (memory (export "memory") 16384)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (unreachable)))
