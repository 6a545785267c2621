"""Pickles that run something when `pickle.load` opens them: the published families and variants."""

import random
from collections.abc import Iterator

from tests.support.assembler import (
    NDARRAY,
    RECONSTRUCT,
    Raw,
    array,
    call,
    name,
    nested_storage,
    put,
    stack_name,
    storage,
    stream,
    tensor,
)


def live(canary: str) -> dict[str, tuple[str, str, tuple[object, ...]]]:
    """Calls that create the file `canary` when something runs them."""
    write = f"open({canary!r}, 'w').close()"
    return {
        "posix.system": ("posix", "system", (f"touch {canary}",)),
        "os.system": ("os", "system", (f"touch {canary}",)),
        "os.popen": ("os", "popen", (f"touch {canary}",)),
        "builtins.exec": ("builtins", "exec", (write,)),
        "builtins.eval": ("builtins", "eval", (write,)),
        "builtins.open": ("builtins", "open", (canary, "w")),
        "__builtin__.open": ("__builtin__", "open", (canary, "w")),
        "io.open": ("io", "open", (canary, "w")),
        "subprocess.run": ("subprocess", "run", (["touch", canary],)),
        "subprocess.check_output": ("subprocess", "check_output", (["touch", canary],)),
        "subprocess.getoutput": ("subprocess", "getoutput", (f"touch {canary}",)),
        "timeit.timeit": ("timeit", "timeit", (write,)),
        "cProfile.run": ("cProfile", "run", (write,)),
        "profile.run": ("profile", "run", (write,)),
        "os.mkdir": ("os", "mkdir", (canary,)),
        "posix.open": ("posix", "open", (canary, 0o102)),
        "shutil.copyfile": ("shutil", "copyfile", ("/etc/hostname", canary)),
        "logging.FileHandler": ("logging", "FileHandler", (canary,)),
        "numpy.savetxt": ("numpy", "savetxt", (canary, [1.0])),
        "numpy.memmap": ("numpy", "memmap", (canary, "u1", "w+", 0, (1,))),
        "torch.save": ("torch", "save", (1, canary)),
        "pickle.loads": (
            "pickle", "loads", (stream(call(name("posix", "system"), f"touch {canary}")),)
        ),
        "torch.storage._load_from_bytes": (
            "torch.storage", "_load_from_bytes",
            (stream(call(name("posix", "system"), f"touch {canary}"), start=b"\x80\x02"),),
        ),
    }  # fmt: skip


PUBLISHED: tuple[tuple[str, str], ...] = (
    ("builtins", "__import__"), ("builtins", "getattr"), ("builtins", "setattr"),
    ("builtins", "compile"), ("builtins", "breakpoint"), ("builtins", "globals"),
    ("builtins", "vars"), ("builtins", "memoryview"), ("builtins", "bytearray"),
    ("builtins", "print"), ("builtins", "map"), ("builtins", "range"), ("builtins", "type"),
    ("builtins", "object"), ("builtins", "str"), ("builtins", "int"), ("builtins", "set"),
    ("__builtin__", "apply"), ("__builtin__", "file"), ("__builtin__", "eval"),
    ("nt", "system"), ("os", "execv"), ("os", "spawnl"), ("os", "kill"), ("os", "_exit"),
    ("posix", "fork"), ("pty", "spawn"), ("commands", "getoutput"), ("sys", "exit"),
    ("sys", "modules"), ("sys", "settrace"), ("socket", "create_connection"),
    ("urllib.request", "urlopen"), ("http.client", "HTTPConnection"), ("requests.api", "get"),
    ("webbrowser", "open"), ("shutil", "rmtree"), ("tempfile", "mktemp"), ("runpy", "run_path"),
    ("runpy", "_run_code"), ("importlib", "import_module"), ("importlib", "reload"),
    ("pkgutil", "resolve_name"), ("operator", "attrgetter"), ("operator", "methodcaller"),
    ("operator", "itemgetter"), ("functools", "partial"), ("functools", "reduce"),
    ("itertools", "starmap"), ("types", "FunctionType"), ("types", "CodeType"),
    ("marshal", "loads"), ("pickle", "load"), ("_pickle", "Unpickler"),
    ("copyreg", "_reconstructor"),
    ("copyreg", "__newobj__"), ("copy_reg", "_reconstructor"), ("code", "InteractiveInterpreter"),
    ("codeop", "compile_command"), ("bdb", "Bdb"), ("pdb", "run"), ("doctest", "debug_script"),
    ("trace", "Trace"), ("pydoc", "pipepager"), ("pydoc", "locate"), ("site", "addpackage"),
    ("ctypes", "CDLL"), ("_ctypes", "dlopen"), ("cffi", "FFI"),
    ("multiprocessing.util", "spawnv_passfds"),
    ("asyncio.unix_events", "_UnixSubprocessTransport"), ("idlelib.pyshell", "ModifiedInterpreter"),
    ("idlelib.autocomplete", "AutoComplete"), ("lib2to3.pgen2.grammar", "Grammar"),
    ("ensurepip", "_run_pip"), ("distutils.file_util", "write_file"), ("distutils.spawn", "spawn"),
    ("imaplib", "IMAP4_stream"), ("uuid", "_get_command_stdout"), ("venv", "EnvBuilder"),
    ("cgitb", "lookup"), ("ssl", "get_server_certificate"), ("_aix_support", "_read_cmd_output"),
    ("_osx_support", "_read_output"), ("_pyrepl.pager", "pipe_pager"), ("linecache", "getline"),
    ("logging.config", "listen"), ("sqlite3", "connect"), ("zipimport", "zipimporter"),
    ("pip", "main"), ("pip._internal", "main"), ("dill", "loads"), ("cloudpickle", "loads"),
    ("joblib", "load"), ("pandas", "eval"), ("pandas.io.pickle", "read_pickle"),
    ("numpy", "load"), ("numpy", "fromfile"), ("numpy", "frompyfunc"), ("numpy", "vectorize"),
    ("numpy", "array"), ("numpy", "matrix"), ("numpy", "recarray"), ("numpy", "frombuffer"),
    ("numpy.testing._private.utils", "runstring"), ("numpy.f2py.crackfortran", "getlincoef"),
    ("numpy.f2py.crackfortran", "param_eval"), ("numpy.f2py.diagnose", "run_command"),
    ("numpy.lib.format", "read_array"), ("numpy.core._internal", "_dtype_from_pep3118"),
    ("numpy._core._internal", "_view_is_safe"), ("numpy._core.multiarray", "fromstring"),
    ("numpy._core.multiarray", "frombuffer"), ("numpy._core.multiarray", "ndarray"),
    ("numpy._core.records", "fromrecords"), ("numpy.ma.core", "_mareconstruct"),
    ("numpy.random._pickle", "__generator_ctor"), ("numpy._globals", "_NoValueType"),
    ("torch", "load"), ("torch", "Tensor"), ("torch", "FloatStorage"), ("torch", "device"),
    ("torch.hub", "load"), ("torch.jit", "load"), ("torch.serialization", "load"),
    ("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v3"), ("torch._utils", "_rebuild_qtensor"),
    ("torch._utils", "_rebuild_sparse_tensor"), ("torch._tensor", "_rebuild_from_type_v2"),
    ("torch.storage", "UntypedStorage"), ("torch.storage", "TypedStorage"),
    ("torch.utils.collect_env", "run"), ("torch.utils._config_module", "ConfigModule"),
    ("torch.utils.bottleneck.__main__", "run_autograd_prof"), ("torch.distributed.rpc", "rpc_sync"),
    ("torch.fx.graph", "_PyTreeCodeGen"), ("torch._dynamo.guards", "GuardBuilder"),
    ("torch._inductor.codecache", "compile_file"), ("transformers", "pipeline"),
    ("sklearn.externals.joblib", "load"), ("tensorflow", "io"), ("_codecs", "decode"),
    ("_codecs", "lookup"), ("codecs", "encode"), ("collections", "defaultdict"),
    ("collections", "Counter"), ("collections", "deque"), ("collections", "namedtuple"),
    ("OrderedDict", "collections"), ("numpy", "dtype.type"), ("numpy", "ndarray.__class__"),
    ("numpy.core.multiarray", "_reconstruct.__globals__"), ("numpy", "core.os.system"),
    ("torch", "os.system"), ("torch.storage", "io.open"), ("NUMPY", "ndarray"), ("numpy ", "dtype"),
    ("numpy", "ndarray\x00"), ("__main__", "Anything"), ("", ""), (".", "."), ("a" * 250, "b"),
)  # fmt: skip
"""Names that files in the wild, scanners' test suites and papers use; none has a meaning here."""


def spellings(module: str, attribute: str, arguments: tuple[object, ...]) -> dict[str, bytes]:
    """One call in every form that the pickle machine knows."""
    both = {"global": name(module, attribute), "stack": stack_name(module, attribute)}
    calls = {f"reduce-{how}": call(function, *arguments) for how, function in both.items()}
    items = b"".join(map(put, arguments))
    dotted = module.encode() + b"\n" + attribute.encode() + b"\n"
    return {
        **calls,
        "inst": b"(" + items + b"i" + dotted,
        "obj": b"(" + both["global"] + items + b"o",
        "newobj": both["global"] + put(tuple(arguments)) + b"\x81",
        "newobj-ex": both["global"] + put(tuple(arguments)) + b"}\x92",
        "memo": both["global"] + b"q\x050h\x05" + put(tuple(arguments)) + b"R",
        "build": call(both["global"], *arguments) + put({"x": 1}) + b"b",
        "dup": both["stack"] + b"2" + put(tuple(arguments)) + b"R",
        "value": bytes(both["global"]),
    }


def places(gadget: bytes) -> dict[str, bytes]:
    """The gadget at every place of a file where an honest value would be."""
    raw = Raw(gadget)
    return {
        "whole": stream(raw),
        "whole-2": stream(raw, start=b"\x80\x02"),
        "whole-5": stream(raw, start=b"\x80\x05"),
        "framed": b"\x80\x04\x95" + (len(gadget) + 1).to_bytes(8, "little") + gadget + b".",
        "in a list": stream([1, raw, 2]),
        "in metadata": stream({"metadata": {"model_name": "gpt2", "x": raw}}),
        "as a dict key": stream(Raw(b"}(" + gadget + put(1) + b"u")),
        "thrown away": stream(Raw(gadget + b"0" + put(1))),
        "after an array": stream([array(), raw]),
        "as array data": stream(array(data=raw)),
        "as array shape": stream(array(shape=raw)),
        "as array dtype": stream(array(kind=raw)),
        "as array type": stream(call(RECONSTRUCT, raw, (0,), b"b")),
        "as array state": stream(Raw(call(RECONSTRUCT, NDARRAY, (0,), b"b") + gadget + b"b")),
        "as storage": stream(tensor(of=raw)),
        "as storage bytes": stream(call(name("torch.storage", "_load_from_bytes"), raw)),
        "as hooks": stream(tensor(hooks=raw)),
        "in the nested file": stream(tensor(of=storage(b"\x80\x02" + gadget + b"."))),
        "before the nested file": stream(
            tensor(of=storage(b"\x80\x02" + gadget + b"." + nested_storage()))
        ),
        "behind the nested file": stream(
            tensor(of=storage(nested_storage(tail=b"\x80\x02" + gadget + b".")))
        ),
        "as the nested id": stream(tensor(of=storage(nested_storage(view=raw)))),
        "as nested keys": stream(tensor(of=storage(nested_storage(keys=raw)))),
        "after the end": stream(1) + stream(raw),
    }


def variants(canary: str, *, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """All gadgets in all forms at all places, of which `count` are drawn."""
    gadgets = {**live(canary), **{f"{m}.{a}": (m, a, ("x",)) for m, a in PUBLISHED}}
    everything = [
        (gadget, form, place)
        for gadget, (module, attribute, arguments) in gadgets.items()
        for form in spellings(module, attribute, arguments)
        for place in places(b"N")
    ]
    for gadget, form, place in random.Random(seed).sample(everything, count):
        module, attribute, arguments = gadgets[gadget]
        spelled = spellings(module, attribute, arguments)[form]
        yield f"{gadget} as {form}, {place}", places(spelled)[place]
