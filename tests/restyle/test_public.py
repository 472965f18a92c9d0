"""What `import unistyle` gives."""

import subprocess
import sys

import unistyle


def test_every_public_name_is_there():
    for name in unistyle.__all__:
        assert getattr(unistyle, name) is not None
    assert issubclass(unistyle.ImageError, unistyle.UniStyleError)


def test_the_import_is_light():
    code = "import sys, unistyle; sys.exit(', '.join({'torch', 'PIL', 'timm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
