"""What a cell may try against its wall, and what must come of it: one entry a way out.

`layers` are those that must each be able to stop it alone: mnt pid net ipc user are namespaces (absent at the level
plain), then landlock, seccomp, rlimit, caps, fd (the audit of descriptors), env (a clean environment), proto (the
host's own checks), life (the host ends it) and policy (the imports; no wall, and off in all checks but ip-*).
Any one of the named outcomes is a pass: an exception with such a class among its bases, a value, an end.
Each check is also run with its layers left out one by one, and where nothing confines it: it must then get out, but
where `nocontrol` says why it cannot.
"""

# ruff: noqa: E501

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One thing that code tries. `most` bounds a number; `kill` says that the host may have to end it."""

    id: str
    layers: str
    code: str
    raises: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    most: int | None = None
    dies: tuple[str, ...] = ()
    kill: bool = False
    nocontrol: str = ""

    @property
    def source(self) -> str:
        return textwrap.dedent(self.code).strip() + "\n"


# The names that a cell finds: CANARY_FILE, CANARY_DIR, CANARY_SHA, CANARY_LEN, TCP_PORT, TCP6_PORT, UDP_PORT, UNIX_PATH,
# ABSTRACT, HOST_PID, HOST_IP, HOST_NODE, ALLOWED_NRS, and sc(number, *arguments), a raw system call that raises OSError.
PRELUDE = r"""
import os, sys, ctypes as _c
_l = _c.CDLL(None, use_errno=True)
def sc(nr, *a):
    a = [x if isinstance(x, (bytes, type(None))) else _c.c_long(x) for x in a]
    r = _l.syscall(_c.c_long(nr), *a)
    if r == -1:
        e = _c.get_errno(); raise OSError(e, os.strerror(e))
    return r
"""

CHECKS = (
    Check(
        "fs-01",
        "mnt landlock",
        r"open('/etc/shadow').read()",
        raises=("OSError",),
    ),
    Check(
        "fs-04",
        "mnt landlock",
        r"open('/tmp/' + '../'*40 + CANARY_FILE.lstrip('/')).read()",
        raises=("OSError",),
    ),
    Check(
        "fs-05",
        "mnt landlock",
        r"os.chdir('/tmp'); os.symlink(CANARY_FILE, 'l1'); open('l1').read()",
        raises=("OSError",),
    ),
    Check(
        "fs-06",
        "mnt landlock",
        r"os.link(CANARY_FILE, '/tmp/h1'); open('/tmp/h1').read()",
        raises=("OSError",),
        nocontrol="scratch is another filesystem (EXDEV) also in the control",
    ),
    Check(
        "fs-07",
        "mnt landlock",
        r"""
        seen = []
        for root in ('/', '/..', '//', '/proc/self/root', '/proc/1/root', '/proc/self/cwd/../..'):
            try: seen += os.listdir(root)
            except OSError: pass
        sorted(set(seen) - {'usr','lib','lib64','lib32','bin','sbin','tmp','dev','work','etc','proc','python', *(p.split('/')[1] for p in (sys.prefix, sys.base_prefix))})
        """,
        values=([],),
    ),
    # open_by_handle_at (shocker)
    Check(
        "fs-09",
        "seccomp",
        r"sc(304, 3, b'\0'*32, 0)",
        raises=("PermissionError",),
        nocontrol="root without a valid handle also errors",
    ),
    Check(
        "fs-10",
        "mnt landlock",
        r"sorted(set(os.listdir('/dev')) - {'null','zero','urandom','random','full','fd','stdin','stdout','stderr','shm'})",
        raises=("OSError",),
        values=([],),
    ),
    Check(
        "fw-01",
        "mnt landlock",
        r"open('/pwned','w').write('x')",
        raises=("OSError",),
    ),
    Check(
        "fw-03",
        "mnt landlock",
        r"""
        import sysconfig
        open(os.path.join(sysconfig.get_paths()['purelib'],'evil.pth'),'w').write('import os')
        """,
        raises=("OSError",),
    ),
    Check(
        "fw-04",
        "mnt landlock",
        r"open(os.path.join(CANARY_DIR,'new'),'w').write('x')",
        raises=("OSError",),
    ),
    Check(
        "fw-06",
        "mnt landlock",
        r"os.unlink('/usr/bin/env')",
        raises=("OSError",),
        nocontrol="destructive",
    ),
    Check(
        "fw-07",
        "user seccomp caps landlock",
        r"""
        import stat
        os.mknod('/tmp/sda', 0o600|stat.S_IFBLK, os.makedev(8,0))
        """,
        raises=("OSError",),
    ),
    # scratch is noexec, so a dropped .so cannot be dlopen-ed; also the reason ctypes.CDLL('/tmp/x.so') fails
    Check(
        "fw-10",
        "mnt",
        r"""
        import mmap
        f = open('/tmp/m','w+b'); f.write(b'\x90'*4096); f.flush()
        mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ|mmap.PROT_EXEC, flags=mmap.MAP_PRIVATE); 'mapped'
        """,
        raises=("OSError",),
    ),
    # memfd_create + fexecve
    Check(
        "fw-11",
        "mnt seccomp landlock",
        r"fd = sc(319, b'x', 0); os.write(fd, b'#!/bin/sh\n'); os.execve(fd, ['x'], {})",
        raises=("OSError",),
    ),
    Check(
        "pr-03",
        "mnt",
        r"[p for p in ('/proc/kcore','/proc/kallsyms','/proc/sysrq-trigger','/proc/keys','/proc/timer_list','/sys/kernel','/sys/fs/cgroup','/sys/firmware') if os.path.exists(p)]",
        values=([],),
    ),
    # host paths in mountinfo
    Check(
        "pr-04",
        "mnt landlock",
        r"s = open('/proc/self/mountinfo').read(); [l for l in s.splitlines() if CANARY_DIR in l or '/home/' in l or 'workdir' in l]",
        raises=("OSError",),
        values=([],),
    ),
    # UTS namespace
    Check(
        "pr-05",
        "user",
        r"os.uname().nodename == HOST_NODE",
        values=(False,),
    ),
    Check(
        "pr-06",
        "user seccomp",
        r"os.setuid(0)",
        raises=("OSError",),
    ),
    Check(
        "pr-07",
        "user",
        r"os.getuid() == 0 or os.geteuid() == 0 or 0 in os.getgroups()",
        raises=("OSError",),
        values=(False,),
    ),
    # PR_GET_SECCOMP == filter
    Check(
        "pr-10",
        "seccomp",
        r"sc(157, 21, 0, 0, 0, 0)",
        values=(2,),
    ),
    # a forked CPython child inherits the heap of its parent - the zygote must never have held a key, a prompt or another session's data
    Check(
        "en-03",
        "env",
        r"""
        import gc, hashlib
        todo = list(gc.get_objects()) + [m.__dict__ for m in list(sys.modules.values()) if hasattr(m,'__dict__')]
        seen = set(); bad = 0; n = 0
        while todo and n < 3_000_000:
            o = todo.pop(); n += 1
            if id(o) in seen: continue
            seen.add(id(o))
            if isinstance(o, (str, bytes)):
                if len(o) == CANARY_LEN:
                    b = o if isinstance(o, bytes) else o.encode('utf8','replace')
                    bad += hashlib.sha256(b).hexdigest() == CANARY_SHA
                continue
            todo.extend(gc.get_referents(o))
        bad
        """,
        values=(0,),
    ),
    Check(
        "en-05",
        "env",
        r"[a for a in sys.argv+sys.orig_argv if CANARY_DIR in a or 'key' in a.lower()]",
        values=([],),
        nocontrol="the control passes the key in argv",
    ),
    # only the host channel is open besides 0-2
    Check(
        "en-06",
        "fd",
        r"""
        n=0
        for fd in range(3,1024):
            try: os.fstat(fd); n+=1
            except OSError: pass
        n
        """,
        most=1,
        nocontrol="depends on parent",
    ),
    # no controlling terminal
    Check(
        "en-07",
        "fd",
        r"os.open('/dev/tty', os.O_RDWR)",
        raises=("OSError",),
        nocontrol="control must be started on a pty",
    ),
    # TIOCSTI; fd 0 is /dev/null and ioctl is allow-listed
    Check(
        "en-08",
        "seccomp fd",
        r"""
        import fcntl
        fcntl.ioctl(0, 0x5412, b'x')
        """,
        raises=("OSError",),
        nocontrol="control must be started on a pty",
    ),
    Check(
        "nt-01",
        "net seccomp landlock",
        r"""
        import socket
        socket.create_connection(('127.0.0.1', TCP_PORT), 2); 'connected'
        """,
        raises=("OSError",),
    ),
    Check(
        "nt-02",
        "net seccomp landlock",
        r"""
        import socket
        socket.create_connection((HOST_IP, TCP_PORT), 2); 'connected'
        """,
        raises=("OSError",),
    ),
    Check(
        "nt-05",
        "net seccomp",
        r"""
        import socket
        socket.getaddrinfo('canary.test', 80)
        """,
        raises=("OSError",),
        nocontrol="needs the canary resolver",
    ),
    Check(
        "nt-07",
        "net seccomp landlock",
        r"""
        import socket
        socket.create_connection(('169.254.169.254',80),2)
        """,
        raises=("OSError",),
        nocontrol="needs the alias on lo",
    ),
    Check(
        "nt-08",
        "seccomp caps",
        r"""
        import socket
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)
        """,
        raises=("OSError",),
    ),
    # whole family sweep (AF_ALG, AF_VSOCK, AF_RDS, AF_TIPC, AF_XDP...); only socketpair(AF_UNIX) is allowed, asyncio needs it
    Check(
        "nt-10",
        "seccomp",
        r"""
        import socket
        openable = []
        for fam in range(0, 46):
            for typ in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
                try: socket.socket(fam, typ, 0).close(); openable.append((fam, typ))
                except OSError: pass
        [str(x) for x in openable]
        """,
        values=([],),
    ),
    Check(
        "nt-11",
        "mnt seccomp",
        r"""
        import socket
        s=socket.socket(socket.AF_UNIX); s.connect(UNIX_PATH); 'connected'
        """,
        raises=("OSError",),
    ),
    # re-use of an allowed socketpair end to reach another peer
    Check(
        "nt-13",
        "net seccomp landlock",
        r"""
        import socket
        a,b=socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); b.connect('\0'+ABSTRACT+'d'); b.send(b'x'); 'sent'
        """,
        raises=("OSError",),
    ),
    Check(
        "nt-15",
        "net seccomp",
        r"""
        import socket
        [n for _,n in socket.if_nameindex() if n!='lo']
        """,
        raises=("OSError",),
        values=([],),
    ),
    # no other process is visible or signalable; the guest's own threads are no others
    Check(
        "sg-02",
        "pid landlock seccomp",
        r"[p for p in range(2, 40000) if p != os.getpid() and _l.kill(p, 0) == 0 and _l.tgkill(os.getpid(), p, 0)][:5]",
        values=([],),
    ),
    Check(
        "sg-03",
        "pid",
        r"os.kill(-1, 9)",
        raises=("OSError",),
        values=(None,),
        dies=("signal",),
        kill=True,
        nocontrol="kills everything of that uid",
    ),
    # PTRACE_TRACEME
    Check(
        "sg-05",
        "seccomp",
        r"sc(101, 0, 0, 0, 0)",
        raises=("OSError",),
    ),
    # pidfd_open (then pidfd_getfd)
    Check(
        "sg-07",
        "seccomp",
        r"sc(434, 1, 0)",
        raises=("OSError",),
    ),
    Check(
        "sg-09",
        "mnt seccomp landlock",
        r"""
        import subprocess
        subprocess.run(['/bin/sh','-c','id'])
        """,
        raises=("OSError",),
    ),
    Check(
        "sg-11",
        "seccomp landlock",
        r"os.execv(sys.executable,['python','-c','1'])",
        raises=("OSError",),
    ),
    # the limit is enforced by SIGKILL of the pid namespace from outside
    Check(
        "sg-12",
        "life",
        r"""
        import signal,time
        for s in range(1,65):
            try: signal.signal(s, signal.SIG_IGN)
            except Exception: pass
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1,65))
        while True:
            try: time.sleep(1)
            except BaseException: pass
        """,
        dies=("timeout",),
        kill=True,
        nocontrol="the host's clock ends it, whatever the sandbox",
    ),
    # clone with namespace flags
    Check(
        "ns-02",
        "seccomp",
        r"sc(56, 0x10000000|17, 0, 0, 0, 0)",
        raises=("OSError",),
        nocontrol="forks the control",
    ),
    # clone3 flags are behind a pointer so seccomp cannot see them; must be ENOSYS
    Check(
        "ns-03",
        "seccomp",
        r"sc(435, b'\0'*88, 88)",
        raises=("OSError",),
        nocontrol="forks the control",
    ),
    # setns must be refused before the fd is looked at
    Check(
        "ns-04",
        "seccomp",
        r"""
        r=[]
        for fd in range(0,8):
            try: sc(308, fd, 0); r.append(0)
            except OSError as e: r.append(e.errno)
        sorted(set(r))
        """,
        values=([1], [38], [1, 38]),
    ),
    # umount2
    Check(
        "ns-07",
        "seccomp caps",
        r"sc(166, b'/usr', 2)",
        raises=("OSError",),
        nocontrol="unmounts",
    ),
    Check(
        "ns-08",
        "seccomp caps landlock",
        r"os.chdir('/tmp'); os.makedirs('o',exist_ok=True); sc(155, b'.', b'o')",
        raises=("OSError",),
        nocontrol="pivot_root",
    ),
    # open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr - the new mount API a deny-list forgot
    Check(
        "ns-09",
        "seccomp",
        r"""
        got = []
        for nr in (428,429,430,431,432,433,442):
            try: sc(nr, 0, 0, 0, 0, 0); got.append(nr)
            except OSError as e:
                if e.errno not in (1, 38): got.append((nr, e.errno))
        [str(x) for x in got]
        """,
        values=([],),
    ),
    # each must be EPERM/ENOSYS, not EINVAL/EFAULT/EBADF (which would prove the kernel entered the call)
    Check(
        "kn-01",
        "seccomp",
        r"""
        names = {425:'io_uring_setup',426:'io_uring_enter',427:'io_uring_register',321:'bpf',248:'add_key',249:'request_key',250:'keyctl',
          323:'userfaultfd',298:'perf_event_open',101:'ptrace',246:'kexec_load',320:'kexec_file_load',169:'reboot',175:'init_module',
          313:'finit_module',176:'delete_module',304:'open_by_handle_at',300:'fanotify_init',163:'acct',167:'swapon',168:'swapoff',
          179:'quotactl',103:'syslog',164:'settimeofday',227:'clock_settime',159:'adjtimex',170:'sethostname',172:'iopl',173:'ioperm',
          153:'vhangup',154:'modify_ldt',212:'lookup_dcookie',134:'uselib',139:'sysfs',278:'vmsplice',311:'process_vm_writev',
          312:'kcmp',317:'seccomp',318:None,447:'memfd_secret',310:'process_vm_readv',438:'pidfd_getfd',440:'process_madvise',
          237:'mbind',238:'set_mempolicy',256:'migrate_pages',279:'move_pages',29:'shmget',64:'semget',68:'msgget',240:'mq_open',
          206:'io_setup',209:'io_submit',216:'remap_file_pages',303:'name_to_handle_at',319:'memfd_create',322:'execveat',329:'pkey_mprotect'}
        got = []
        for nr, n in names.items():
            if n is None: continue
            try: sc(nr, -1, 0, 0, 0, 0); got.append(n)
            except OSError as e:
                if e.errno not in (1, 38): got.append(f'{n}:{e.errno}')
        got
        """,
        values=([],),
        nocontrol="never un-sandboxed (vhangup, kexec unload); control = same cell with only the seccomp layer off",
    ),
    # complement sweep - catches a filter that is shadowed, replaced or built for another arch
    Check(
        "kn-02",
        "seccomp",
        r"""
        # sweep: ALLOWED is the list shipped with the build (harness injects it); everything else must be EPERM/ENOSYS
        allowed = set(ALLOWED_NRS) | {56, 157, 302, 16}
        leak = []
        for nr in range(0, 470):
            if nr in allowed or nr in (57, 58, 435, 335, 336): continue   # 335/336: see kn-08
            try: sc(nr, -1, -1, -1, -1, -1); leak.append(nr)
            except OSError as e:
                if e.errno not in (1, 38): leak.append(nr)
        leak
        """,
        values=([],),
        nocontrol="would run reboot(2) etc. un-sandboxed; never do that",
    ),
    # x32 ABI numbers
    Check(
        "kn-03",
        "seccomp",
        r"sc(0x40000000 | 39)",
        raises=("OSError",),
        nocontrol="ENOSYS on kernels without x32",
    ),
    # prlimit64 set is denied while get works; both words of the pointer compared
    Check(
        "kn-07",
        "seccomp",
        r"sc(302, 0, 7, b'\xff'*16, 0)",
        raises=("PermissionError",),
        nocontrol="raises own limit",
    ),
    Check(
        "rs-04",
        "life rlimit",
        r"x = 9**9**9",
        raises=("MemoryError",),
        dies=("timeout", "signal", "memory"),
        kill=True,
        nocontrol="the host's clock ends it, whatever the sandbox",
    ),
    # int-str digit limit left at CPython default
    Check(
        "rs-05",
        "",
        r"len(str(10**5000))",
        raises=("ValueError",),
        nocontrol="same outside",
    ),
    Check(
        "rs-06",
        "rlimit life",
        r"len(bytearray(8 << 30))",
        raises=("MemoryError",),
        dies=("memory",),
        nocontrol="may OOM the control",
    ),
    Check(
        "rs-08",
        "seccomp",
        r"for i in range(10000): os.fork()",
        raises=("OSError",),
        nocontrol="fork bomb",
    ),
    Check(
        "rs-09",
        "rlimit",
        r"""
        import threading,time
        ts=[]
        for i in range(5000):
            t=threading.Thread(target=time.sleep,args=(30,),daemon=True); t.start(); ts.append(t)
        len(ts)
        """,
        raises=("RuntimeError", "MemoryError", "OSError"),
        nocontrol="heavy",
    ),
    Check(
        "rs-10",
        "rlimit",
        r"f=[open('/dev/null') for _ in range(20000)]; len(f)",
        raises=("OSError",),
        nocontrol="control limit may be lower",
    ),
    Check(
        "rs-13",
        "rlimit",
        r"f=open('/tmp/sp','wb'); f.truncate(1<<40); f.seek((1<<40)-1); f.write(b'x'); f.flush()",
        raises=("OSError",),
        nocontrol="depends on fs",
    ),
    Check(
        "rs-14",
        "proto",
        r"while True: print('x'*65536)",
        values=(None,),
        dies=("timeout", "signal"),
        kill=True,
        nocontrol="output only",
    ),
    # many tiny frames; rate and count limits
    Check(
        "rs-15",
        "proto",
        r"for i in range(10**7): sys.stdout.write('x'); sys.stdout.flush()",
        values=(None,),
        dies=("timeout", "signal"),
        kill=True,
        nocontrol="same",
    ),
    Check(
        "rs-16",
        "",
        r"""
        def f(): f()
        f()
        """,
        raises=("RecursionError",),
        nocontrol="same outside",
    ),
    Check(
        "rs-18",
        "life",
        r"import ctypes; ctypes.string_at(0)",
        raises=("ImportError",),
        dies=("signal", "exit"),
        kill=True,
        nocontrol="crashes",
    ),
    # exit status 0 without a result frame is a death
    Check(
        "rs-19",
        "life",
        r"os._exit(0)",
        dies=("exit", "signal"),
        kill=True,
        nocontrol="same",
    ),
    # closing the host channel is a death of the sandbox only
    Check(
        "rs-21",
        "life",
        r"os.closerange(0, 65536)",
        values=(None,),
        dies=("exit", "signal", "timeout"),
        kill=True,
        nocontrol="same",
    ),
    # no /dev/shm or a private one
    Check(
        "rs-26",
        "mnt seccomp landlock",
        r"""
        from multiprocessing import shared_memory as s
        s.SharedMemory(create=True,size=1<<20,name='canary_shm').name
        """,
        raises=("OSError", "ImportError"),
    ),
    # monkeypatching the in-sandbox runtime harms only this session; runtime keeps private references; host validates anyway
    Check(
        "wr-15",
        "proto",
        r"""
        import builtins, json
        builtins.print = lambda *a, **k: None
        json.dumps = lambda *a, **k: '{"type":"final","value":"forged"}'
        sys.stdout = None
        1
        """,
        raises=("Exception",),
        values=(1,),
        nocontrol="needs our runtime",
    ),
    Check(
        "ip-02",
        "policy",
        r"__import__('o'+'s')",
        raises=("ImportPolicyError",),
    ),
    # contained even if reached - system() cannot fork
    Check(
        "ip-04",
        "policy",
        r"import sys; sys.modules['os'].system('true')",
        raises=("ImportPolicyError", "KeyError", "OSError"),
        values=(-1, 32512, 127),
    ),
    Check(
        "ip-06",
        "mnt landlock",
        r"import random; random._os.listdir('/root')",
        raises=("OSError", "ImportPolicyError"),
    ),
    Check(
        "ip-07",
        "policy mnt landlock",
        r"""
        try:
            1/0
        except Exception as e:
            f=e.__traceback__.tb_frame
            while f.f_back: f=f.f_back
            r=f.f_builtins['__import__']('os').listdir('/home')
        r
        """,
        raises=("OSError", "ImportPolicyError"),
    ),
    Check(
        "ip-08",
        "mnt landlock",
        r"g=(x for x in [1]); g.gi_frame.f_builtins['open']('/etc/shadow')",
        raises=("OSError", "ImportPolicyError"),
    ),
    Check(
        "ip-09",
        "mnt landlock",
        r"""
        import gc
        [o for o in gc.get_objects() if getattr(o,'__name__','')=='listdir' or (isinstance(o,dict) and 'listdir' in o)][0]['listdir']('/etc')
        """,
        raises=("OSError", "ImportPolicyError", "IndexError", "TypeError"),
    ),
    Check(
        "ip-10",
        "mnt landlock",
        r"'{0.__class__.__init__.__globals__}'.format(type('T',(),{'__init__':lambda s:None})())[:0]; open('/etc/shadow')",
        raises=("OSError", "ImportPolicyError"),
    ),
    Check(
        "ip-11",
        "mnt landlock",
        r"""
        try: ''.nope_
        except AttributeError as e: o=e.obj
        try: nope_
        except NameError as e: n=e.name
        __builtins__['open' if isinstance(__builtins__,dict) else 0]('/etc/shadow') if isinstance(__builtins__,dict) else __builtins__.open('/etc/shadow')
        """,
        raises=("OSError", "ImportPolicyError"),
    ),
    # breakpoint()/input()/help()/exit() give a clear error, do not hang on stdin
    Check(
        "ip-14",
        "policy",
        r"""
        import os
        os.environ['PYTHONBREAKPOINT']='os.system'
        breakpoint()
        """,
        raises=("Exception",),
        values=(None,),
        nocontrol="blocks on tty",
    ),
    # policy tampering is visible in the journal (policy checksum reported per cell), not a breach
    Check(
        "ip-18",
        "policy",
        r"""
        import sys
        sys.meta_path.clear(); sys.path_hooks.clear(); sys.path.insert(0,'/tmp')
        open('/tmp/subprocess.py','w').write('X=1')
        import subprocess; subprocess.X
        """,
        raises=("ImportPolicyError", "ImportError", "OSError", "AttributeError"),
        values=(1,),
        nocontrol="informational",
    ),
    Check(
        "ip-22",
        "policy",
        r"""
        del __builtins__
        print(1)
        """,
        raises=("Exception",),
        values=(None,),
        nocontrol="informational",
    ),
)
