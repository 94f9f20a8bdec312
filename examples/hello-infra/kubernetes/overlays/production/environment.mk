# What the Makefile knows of this environment: plain values, without quotes or comments behind them.
NAMESPACE := hello
CONTEXT   :=
PROTECTED :=
SECRETS   := secrets/kubernetes
