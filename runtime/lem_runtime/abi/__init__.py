"""The contract between compiler and runtime: dataclasses, enums, tables and pure encode/decode, standard library only.

``dtypes`` element types; ``sizes`` size expressions as data; ``signature`` parameters, dimensions and how a call binds
them; ``layout`` the bytes a compiled kernel sees (context, arguments, faults); ``artifact`` compiled code with all the
runtime must know about it; ``machine`` what a processor is; ``targets`` names; ``source`` who delivers code.
"""

ABI_VERSION = 4
