;; Answers neither with manifests nor with a refusal.
;; ends: Trap "discriminant"
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\07\00\00\00\00\00\00\00\00\00\00\00")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (i32.const 16)))
