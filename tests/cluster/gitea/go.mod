// Gitea is built in its own module's directory, because its `replace` lines count only there. This file
// pins it.
module reeve.dev/tests/cluster/gitea

go 1.26.2

require code.gitea.io/gitea v1.26.0
