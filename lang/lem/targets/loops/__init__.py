"""Loop IR, shared by the targets that run loops: ``core`` its nodes, ``build`` how to make them, ``printer`` its text."""
