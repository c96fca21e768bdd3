;; Asks for a function that no world has.
;; ends: Imports "read-secret"
(component
  (import "read-secret" (func (param "name" string) (result string))))
