"""Lines for csh, and what tcsh 6.24 answers to each: status, output, errors.

The twin is held against them, and a real tcsh, where there is one.
"""

LINES = (
    ("echo a > /dev/null 2>&1", 1, "", "Ambiguous output redirect.\n"),
    ("ls /nope 2>&1 | cat", 1, "", "Ambiguous output redirect.\n"),
    ("echo $(date)", 1, "", "Illegal variable name.\n"),
    ('echo "$"', 1, "", "Illegal variable name.\n"),
    ("export A=1", 1, "", "export: Command not found.\n"),
    ("A=1 env", 1, "", "A=1: Command not found.\n"),
    ("nosuch || echo b", 0, "b\n", "nosuch: Command not found.\n"),
    ("echo `echo hi`", 0, "hi\n", ""),
    ('echo "`echo hi`"', 0, "hi\n", ""),
    ("echo $NOPE", 1, "", "NOPE: Undefined variable.\n"),
    ("echo $?HOME $?NOPE", 0, "1 0\n", ""),
    ("echo /*.nope", 1, "", "echo: No match.\n"),
    ("echo '*' \\*", 0, "* *\n", ""),
    ("false; echo $status", 0, "1\n", ""),
    ("echo 'a!b'", 1, "", "b: Event not found.\n"),
    ("echo 'a\\!b'", 0, "a!b\n", ""),
    ("echo 'abc", 1, "", "Unmatched '''.\n"),
    ("(echo a; echo b) | cat", 0, "a\nb\n", ""),
    ("echo (a)", 1, "", "Badly placed ()'s.\n"),
    ("echo a)", 1, "", "Too many )'s.\n"),
    ("echo a |", 1, "", "Invalid null command.\n"),
    ("cat < /nope", 1, "", "/nope: No such file or directory.\n"),
    ("echo a > /nope/x", 1, "", "/nope/x: No such file or directory.\n"),
    ("setenv A 1; env | grep ^A=", 0, "A=1\n", ""),
    ("cd /tmp; pwd", 0, "/tmp\n", ""),
    ("test -e /tmp && echo yes", 0, "yes\n", ""),
    ("exit 3", 3, "", ""),
    ("echo a\necho b", 0, "a\nb\n", ""),
)
