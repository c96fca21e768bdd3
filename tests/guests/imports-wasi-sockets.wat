;; Asks for the network.
;; ends: Imports "wasi:sockets/tcp@0.2.6"
(component
  (import "wasi:sockets/tcp@0.2.6" (instance (export "open" (func)))))
