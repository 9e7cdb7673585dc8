"""What jax's arrays are to kernels: used where they lie, shown by address, given as results, and never written."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

import lem
from tests.embed.test_libraries import add_one, narrow, turned, watching


def main() -> None:
    with watching() as addresses:
        x, y = jnp.arange(6.0, dtype=jnp.float32), np.zeros(6, np.float32)
        add_one(x, y)
        assert addresses["x"] == x.unsafe_buffer_pointer() and y.tolist() == [1, 2, 3, 4, 5, 6]
        z, total = turned(x.reshape(2, 3), like=x)
        assert type(z) is type(x) and z.shape == (3, 2) and total == 15.0
        assert z.unsafe_buffer_pointer() == addresses["y"]
        b = jnp.asarray([1.0, 2.5], jnp.bfloat16)
        c = narrow(b, like=jnp)
        assert c.dtype == jnp.bfloat16 and c.tolist() == [2.0, 5.0]
        assert addresses["x"] == b.unsafe_buffer_pointer()
    before = jnp.zeros(2, jnp.float32)
    try:
        add_one(np.ones(2, np.float32), before)
    except lem.CallError as e:
        assert "`y` is `out`, and arrays of jax cannot be written" in str(e) and "`like=`" in str(e)
    else:
        raise AssertionError
    assert before.tolist() == [0, 0]
    print("ok")


if __name__ == "__main__":
    main()
