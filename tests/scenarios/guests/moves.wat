;; Answers with one ConfigMap in kube-system, whatever it was given: a list of one manifest of 92 bytes.
(module
  (memory (export "memory") 1)
  (data (i32.const 64) "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"moved\",\"namespace\":\"kube-system\"}}")
  (data (i32.const 16) "\00\00\00\00\20\00\00\00\01\00\00\00")
  (data (i32.const 32) "\40\00\00\00\5c\00\00\00")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (i32.const 16)))
