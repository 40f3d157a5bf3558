"""The same programs here and on the twin: what they say, and what they leave, is the same.

Each case is a script for `sh`, run by this machine's dash with this machine's programs, and by the
twin, in a folder of the same name. Status, both streams and all that lies in the folder afterwards
are compared: names, modes, owners, contents.
"""

import pytest

from contract.same import folder, here, twin, twin_machine

pytestmark = pytest.mark.contract

# A file, a folder with something in it, an empty file, links that lead somewhere, nowhere, around.
THERE = (
    "printf 'one\\ntwo\\nthree\\n' > file; mkdir dir; echo in > dir/in; : > empty; ln -s file link; "
    "ln -s nowhere loose; ln -s loop2 loop1; ln -s loop1 loop2; ln -s dir dirlink; "
    "printf 'no end' > 'odd name'; : > './-dash'; : > \"q'uote\"; : > été; "
    "nl='new\nline'; : > \"$nl\"; "
)
# What a user may not: read, list, pass, write.
BARRED = (
    "umask 022; echo secret > secret; chmod 600 secret; mkdir closed; echo in > closed/in; "
    "chmod 700 closed; mkdir listed; chmod 744 listed; echo x > listed/x; mkdir mine; "
    "chmod 777 mine; echo other > mine/other; mkdir sticky; chmod 1777 sticky; echo o > sticky/o; "
)

PROGRAMS = """
stat -c '%f|%a|%U|%G|%s|%F|%n' file empty link loose loop1 'odd name' -- -dash
stat --printf '%f|%a|%U|%G|%s|%n\\0' -- file nothing dir/in file/x loop1/x
stat -L --printf '%f|%n\\0' -- link loose loop1 dirlink file/
stat -c %s file/; stat -c %F dir/ dirlink/ dirlink; stat -c %N link file 'odd name' "q'uote"
stat -c %n -- ''; stat -Z; stat; stat -c %y%n | cat
stat --format=%a file; stat -c '%A %u %g %h' file; stat -c '%%|%q' file; stat -c %d%n nothing
stat -t nothing; stat -Lc %a link; stat -c '%a' -L link
sha256sum file empty nothing dir; sha256sum < file; sha256sum -z -- -dash file; sha256sum "$nl"
sha256sum file > sums; sha256sum -c sums; echo x >> file; sha256sum -c sums; sha256sum -c nothing
sha256sum file nothing > sums 2>&1; sha256sum -c sums; echo junk | sha256sum -c; sha256sum --status -c sums
echo "$(sha256sum < empty)  empty" | sha256sum -c -; printf '%s  empty\\n' 00 | sha256sum -c -
cat file empty; cat nothing; cat dir; cat loop1; cat loose; cat -- -dash; cat file/x; cat ''
cat file - < empty; echo in | cat - file; cat -n file; cat -A file; cat --nope file
head -n 1 file; head -c 3 file; head -n 2 file empty; head nothing; head dir; head -n x file; head -1 file
tail -n 1 file; tail -c 4 file; tail -n +2 file; tail -n 0 file; tail nothing; tail -c 1 'odd name'; tail dir
head -q -n 1 file file; head -v -n 1 file; head -n -1 file; tail -2 file; tail -c +3 file; head -c 0 file
mkdir new; mkdir new; mkdir -p new/a/b; mkdir no/way; mkdir -p file/x; mkdir -m 700 private; mkdir -m 7 -p private
mkdir; mkdir -p dir dirlink; mkdir loose; mkdir loop1/x; mkdir -p loose; mkdir 'a b' "c'd"; mkdir -- -x; mkdir -pm 711 p/q
mkdir file; mkdir -v made; mkdir ''; mkdir -p ''; mkdir -m 888 x; mkdir --mode=750 y; mkdir z/; mkdir -p z//w/
rmdir dir; rmdir file; rmdir nothing; mkdir e; rmdir e; rmdir dirlink; rmdir -p a/b
rm file; rm nothing; rm dir; rm -f nothing; rm -r dir; rm link loose loop1; rm -rf nothing dirlink/; rm; rm -f; rm -- -dash
rm -d dir; rm dir/; rm file/; rm -f file/; rm -r -- 'odd name' "$nl"
rm -x file; rm ''; rm -f ''; rm -f dir; rm -rf .; rm -rf ..; rm -rf /
mv file new; mv nothing x; mv new dir; mv dir/new dir2/; mv dir dir2; mv dir2 dir2/x; mv empty link; mv -T empty dir2
mv -fT -- 'odd name' file; mv -n file empty; mv loop1 dir; mv file; mv; mv file empty nothing; mv -t dir file empty
mv file file; mv file ./file; mv dir file; mv file dir/in; mv -T dir dirlink; mkdir e; mv -T dir e; mv -T e dir; mv file 'a b'
mv empty dir/; mv file nothing/; mv file file/x; mv dir/in .; mv link new; mv -f -- -dash plain
cp file new; cp nothing x; cp dir x; cp -r dir copy; cp file dir; cp file link; cp -p file kept; cp file file; cp file loose
cp file nothing/x; cp file dir/in; cp file empty dir; cp file empty nothing; cp; cp file; cp -T file dir; cp -a dir again; cp -a link l2
ln -s file new; ln -s file new; ln -sf dir new; ln -s; ln -s target; ln -s x dir; ln -sfn file dirlink; ln -sfT file dirlink; ln -s a no/b
ln file hard; ln nothing hard; ln dir hard; ln -s '' x; ln -sf loop2 loop1; ln -s file 'a b'; ln -snf nowhere loose; ln -f -s x empty
readlink link; readlink file; readlink nothing; readlink -f link; readlink -f loose; readlink -f loop1; readlink -f dir/../file; readlink -n link
readlink -e loose; readlink -e link; readlink -m no/such/x; readlink -f no/such/x; readlink link loose; readlink; readlink -v file
realpath link; realpath loose; realpath nothing/x; realpath dirlink/in; realpath -e nothing; realpath .
chmod 600 file; chmod 4755 file; chmod u+x,go-rwx file; chmod nothing file; chmod 644 nothing; chmod a= file; chmod +x empty; chmod 0 empty
chmod -R 700 dir; chmod 777 link; chmod 777 loose; chmod loop1; chmod; chmod 600; chmod g+s dir; chmod o+t dir; chmod u=rw,g=r,o= file; chmod 1777 dir
chmod -- 600 file; chmod -x file; chmod 888 file; chmod 77777 file; chmod u+s file; chmod =r file; chmod g=u file; chmod X file; chmod -R u+X dir
chmod 755 dir; chmod g+s dir; mkdir dir/sub; echo x > dir/x; chmod 755 dir; chmod 0755 dir; chmod 00755 dir
chown nobody file; chown nobody:nogroup empty; chown :nogroup dir; chown -R nobody: dir; chown nosuch file; chown root:nosuch file; chown nobody nothing
chown nobody link; chown -h nobody loose; chown nobody loose; chown; chown nobody; chgrp nogroup file; chgrp nosuch file; chown 65534:65534 file; chown -- root:root file
chown 4711:4712 file; chown : file; chown '' file; chown -h root link
chmod 4755 file; chown nobody file; chmod 2755 empty; chown nobody empty; chmod 2644 dir/in; chown nobody dir/in
touch file new; touch nothing/x; touch -c none; touch dir; touch loose; touch ''; touch loop1; touch -- -y; touch
truncate -s 2 file; truncate -s -1 file; truncate -s 5 empty; truncate -s 0 new; truncate dir -s 0; truncate -s x file; truncate -s +1K empty; truncate file
install -d -m 750 a/b/c; install -d file; install -d dir; install -d file/x; install -d -m 700 -o nobody -g nogroup mine; install -d -o nosuch x
install -m 600 file new; install nothing x; install file dir; install -T file dir; install -m 640 -o nobody -g nogroup -T file f2; install file nothing/x
install -D -m 644 file p/q/r; install --backup=numbered -T file empty; install --backup=numbered -T file empty; install dir x; install; install file
install -m 999 file x; install -g nosuch file x; install file link; install file file; install /dev/null made; echo x | install /dev/stdin piped
dd if=file of=new; dd if=nothing; dd of=dir < file; dd if=file of=empty conv=excl; dd bs=x; dd of=nothing/x < file; dd if=file bs=2 count=1
echo text | dd bs=64k conv=excl,fsync of=fresh status=none; dd if=file of=trunc bs=3 status=none; dd nope=1; dd if=dir of=x
grep -x one file; grep -c o file; grep -v o file; grep -q two file; grep four file; grep one nothing; grep -s one nothing; grep one file empty; grep -h o file empty
grep -F . file; grep -e one -e two file; grep -n t file; grep -l o file empty; grep -L o file empty; grep -i ONE file; grep -w on file; grep -m 1 t file; grep -o t file
grep -E 'one|two' file; grep 'one\\|two' file; grep '^t' file; grep 'e$' file; grep -r in dir; grep x dir; grep; grep -qsxF -e one file; grep -qsxF -e x nothing
grep '[' file; grep -E '(' file; grep '(' file; grep '\\(o\\)' file; grep -y; grep '' file; grep -c '' empty; grep -vc x file; grep -xv one file; grep -F -x -e two -- file
grep 'o*' file; grep 't\\{1\\}' file; grep -E 't{1}' file; grep 'a+' file; grep -E 'e+' file; grep '.w.' file; grep '[[:alpha:]]' file; grep '[^a-z]' file; grep -E '^(one|three)$' file
sed -n 2p file; sed 's/o/0/' file; sed 's/o/0/g' file; sed '/two/d' file; sed -n '/two/p' file; sed '1d;$d' file; sed 's|o|[&]|' file; sed q file; sed -n '$p' file; sed k nofile
sed -i 's/one/eins/' file; cat file; sed 's/\\(o\\)\\(n\\)/\\2\\1/' file; sed -E 's/(o)(n)/\\2\\1/' file; sed -e 1d -e 2d file; sed s/x file; sed 1,2d file; sed '/one/,/two/d' file; sed p empty
sed 2q file; sed '2s/.*/x/' file; sed '/o/!d' file; sed 's/T/x/I' file; sed '$a end' file; sed = file
tr a-z A-Z < file; tr -d '\\n' < file; tr -s o < file; tr '\\n' ' ' < file; tr -cd o < file; echo aab | tr -s a; tr x; echo a-b | tr - _; printf 'a\\0b' | tr '\\0' '\\n'; tr -d '[:space:]' < file; tr '[:lower:]' '[:upper:]' < file
test -f file; echo $?; test -f dir; echo $?; test -d dirlink; echo $?; test -e loose; echo $?; test -L loose; echo $?; test -h link; echo $?; test -s empty; echo $?; test -e loop1; echo $?
test -n; echo $?; test; echo $?; test x = x; echo $?; test 1 -eq 01; echo $?; test a -eq 1; echo $?; test -z ''; echo $?; test ! -e nothing; echo $?; test a -a b; echo $?; test a -o ''; echo $?
test -r file; echo $?; test -w file; echo $?; test -x file; echo $?; test -x dir; echo $?; test -O file; echo $?; test -G file; echo $?; test file -nt nothing; echo $?; test -p file; echo $?; test -S file; echo $?; test -b file; echo $?
[ a = b; echo $?; [ -e '' ]; echo $?; [ 1 -lt 2 ]; echo $?; [ '(' x ')' ]; echo $?; [ x = ]; echo $?; [ = = = ]; echo $?; [ ! x ]; echo $?; [ -e file -a ! -d file ]; echo $?; [ a \\< b ]; echo $?
[ 99999999999999999999 -gt 1 ]; echo $?; [ 1 -gt ' 0' ]; echo $?; [ '' -eq 0 ]; echo $?; [ -x nothing ]; echo $?; [ a b c d ]; echo $?; [ -u file ]; echo $?; [ -g dir ]; echo $?; [ -k dir ]; echo $?; [ -t 0 ]; echo $?; [ 1 -ef 1 ]; echo $?
wc -l file; wc -c file empty; wc file; wc -w file; wc -l < file; wc -l nothing; wc -l dir; wc -m file; printf x | wc -l; wc -lc file
cut -d : -f 1,3 file; echo a:b:c | cut -d : -f 2-; echo a:b:c | cut -d: -f3; echo nofield | cut -d : -f 2; echo nofield | cut -s -d : -f 2; cut -c 1-2 file; cut -f 1 nothing; cut; echo abc | cut -b 2; cut -d : file
basename /a/b.c .c; basename a/; basename ''; basename /; dirname /a/b; dirname a; dirname /; dirname a/; dirname; basename; basename -a a/b c/d; dirname a/b c/d; basename -s .c a.c; basename -- -x; dirname ''
tee new < file; tee -a new < file; tee dir < file; tee no/x < file; echo x | tee; tee new2 new3 < empty
base64 file; base64 -w 0 file; base64 < empty; echo b25l | base64 -d; echo '!' | base64 -d; base64 nothing; base64 -w 4 file
ls; ls -a dir; ls -A; ls nothing; ls file dir; ls -d dir; ls -1 dir; ls dir/in; ls -d -- -dash; ls loop1; ls dirlink; ls dirlink/; ls -d dirlink; ls empty loose
find dir; find nothing; find . -name 'f*'; find . -type l -name 'lin*'; find dir -type f; find dir -maxdepth 0; find . -mindepth 1 -type d; find dir -name in -print; find file; find . -name '*dash'; find dir -empty
true; echo $?; false; echo $?; true --x; sleep; sleep x; sleep 0; timeout 5 true; timeout 5 sh -c 'exit 3'; echo $?; timeout; timeout x true; timeout 5 nosuch; echo $?
env -i A=1 env; env A=1 sh -c 'echo $A'; env nosuch; echo $?; env - A=2 env; env -u HOME sh -c 'echo "${HOME-unset}"'; env -x; echo $?
id -u; id -un; id -g; id -gn; id -G; id -Gn; id; id nobody; id -u nobody; id nosuch; id -n; id -un nosuch; id -x; whoami
getent passwd root; getent passwd nosuch; echo $?; getent passwd 0; getent group root; getent group nogroup | cut -d : -f 1,3; getent passwd nobody | cut -d : -f 1,3,4; getent nosuch x; echo $?; getent; echo $?; getent passwd root nosuch; echo $?
printf '%s %d %x %o %c|%5s|%-5s|%05d\\n' a 12 255 8 xyz r l 42; printf '%s\\n' a b c; printf '%s-%s\\n' a b c; printf; printf '%d\\n' x; printf '%d\\n' 0x1f; printf %b 'a\\nb\\0101\\c never'; printf '%q'; printf 'a\\tb\\\\n\\n'
printf -- '-x\\n'; printf '%%'; printf '%s'; printf '%.2s|%*s\\n' abc 4 x; printf '%i %u\\n' 3 4; printf '\\101\\0\\n' | wc -c; printf '%s\\n' "a b" 'c\\nd'; printf '\\033[0m' | wc -c; printf 'é\\n'; printf '%d\\n' "'a"
echo -n x; echo a\\\\tb; echo 'a\\nb'; echo -e x; echo -- x; echo; echo '\\0101' '\\c' x
which sh nosuch; echo $?; command -v nosuch; echo $?; command -v cd if [; command nosuch; echo $?; command -v ./file; chmod +x file; command -v ./file
nosuch; echo $?; ./file; echo $?; ./dir; echo $?; ./nothing; echo $?; /etc; echo $?; dir/in; echo $?; ./-dash; echo $?; ''; echo $?
echo 'echo $0 $1' > s; sh s a; sh ./s b; sh nothing; echo $?; sh dir; echo $?; sh -c; echo $?; sh -c 'exit 300'; echo $?; echo 'echo in $#' | sh; echo 'echo in $1' | sh -s x; sh -ec 'false; echo no'; echo $?
chmod +x s; printf '#!/bin/sh\\necho ran $1\\n' > r; ./r; echo $?; chmod 755 r; ./r now; mv r dir; dir/r deep; PATH=$PWD/dir:$PATH; r found; printf 'echo no bang $1\\n' > n; chmod +x n; ./n x
date -u -d @0 +%Y-%m-%dT%H:%M:%S; date +%s | wc -c; date -d '1970-01-02 UTC' +%s; date -u -d @86400 '+%F %T'; date -d nonsense; date -x
uname -s; uname -m; uname; uname -sm; uname x; uname -q; nproc x
: > q; echo a > no/x; echo $?; echo a > dir; echo $?; echo < nothing; echo $?; cat < dir; echo $?; echo x > loop1; echo $?; echo x > loose; cat nowhere; echo > ''; echo $?; echo x >> new; echo y >> new; echo x 2> err >&2
""".strip().splitlines()
"""One script a line."""

AS_NOBODY = """
cat secret; cat closed/in; ls closed; ls listed; cat listed/x; stat -c %a secret; stat -c %a closed/in; stat -c %a listed/x; stat -c %a closed
echo x > secret; echo x > new; echo x > mine/new; echo x >> secret; rm secret; rm -f secret; rm mine/other; rm sticky/o; mv mine/other mine/o; mv sticky/o mine/o; mkdir x; mkdir mine/x
chmod 644 secret; chown nobody secret; chgrp nogroup secret; touch secret; touch new; touch mine/new; ln -s x new; ln -s x mine/link; cp secret mine/s; cp mine/other closed/x; truncate -s 0 secret
test -r secret; echo $?; test -w secret; echo $?; test -e closed/in; echo $?; test -x closed; echo $?; test -r mine; echo $?; test -O secret; echo $?; test -d closed; echo $?; [ -e listed/x ]; echo $?
sha256sum secret; head secret; tail secret; grep x secret; sed p secret; wc -l secret; cut -c 1 secret; tee secret < /dev/null; dd if=secret; dd of=secret < /dev/null; base64 secret; cat < secret; install secret mine/x; readlink -f closed/in
find closed; find listed; rm -r closed; rm -rf mine; cd closed; echo $?; cd listed; echo $?; ls -d closed/x; rmdir closed; umask 077; echo x > mine/private; mkdir mine/own; touch mine/t; install -d mine/i; chown nobody:root mine/t; chmod 4755 mine/t
install -m 600 /dev/null mine/made; install -o root /dev/null mine/y; chmod 777 mine/other; chown root mine/made; mv -fT -- mine/made secret; mv mine/made closed/x; mv secret mine/; sh secret; ./secret; PATH=closed:$PATH; in; echo $?
""".strip().splitlines()


@pytest.mark.parametrize("script", PROGRAMS)
def test_programs_say_and_leave_the_same(script):
    with folder() as place:
        assert twin(THERE + script, place) == here(THERE + script, place)


@pytest.mark.parametrize("script", AS_NOBODY)
def test_a_user_may_the_same(script):
    with folder() as place:
        machine = twin_machine()
        assert twin(BARRED, place, machine=machine) == here(BARRED, place)
        found = twin(script, place, user="nobody", machine=machine)
        assert found == here(script, place, user="nobody")
