;; Answers with what is no JSON.
;; ends: Output "manifest 1 of 1 is not JSON"
;; ends as a provider: well
(module
  (memory (export "memory") 2)
  (data (i32.const 128) "{\"kind\": Secret")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  {answers}
  (func {export} (call $say (i32.const 128) (i32.const 15) (i32.const 1))))
