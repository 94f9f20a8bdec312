# The Makefile's values for this environment: no quotes, no trailing comments.
NAMESPACE := hello
CONTEXT   :=
PROTECTED :=
SECRETS   := secrets/kubernetes
