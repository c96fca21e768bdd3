;; Asks for randomness.
;; ends: Imports "wasi:random/random@0.2.6"
(component
  (import "wasi:random/random@0.2.6" (instance (export "open" (func)))))
