"""What a text asks, in few words."""

import pytest

from phi4r_lib.curate.gist import gist

PYTHON = '''def cheapestTicket_for(zones, fares):
    """Find the cheapest ticket that covers every zone.

    >>> cheapestTicket_for([1], {})
    None
    """
    return min(fares)  # the least
'''
SCRIPT = """Here is the version in JavaScript:

```javascript
// Finds the cheapest ticket that covers every zone.
// cheapest([1]) => null
function cheapest(zones, fares) {
    return Math.min(...fares);
}
```
Hope this helps!"""
C = """#include <stdio.h>
/* Cheapest ticket
 * of all zones. */
int cheapest_ticket(int *zones) {
    return 0;
}
int main() {
    return 0;
}
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (PYTHON, "cheapest ticket for. Find the cheapest ticket that covers every zone."),
        (SCRIPT, "cheapest. Finds the cheapest ticket that covers every zone."),
        (C, "cheapest ticket. Cheapest ticket of all zones."),
        ("Write a function for tickets.\ndef f(x):\n    return x", "f. Write a function for tickets."),
        ("x = 1\ny = 2", ". "),
    ],
)
def test_a_program_is_its_names_and_what_it_says_about_itself(text, found):
    assert gist(text, "code") == found


def test_prose_is_its_end():
    words = [f"w{number}" for number in range(100)]
    assert gist(" ".join(words), "prose") == " ".join(words[30:])


def test_examples_are_left_out_however_long_the_text():
    assert gist("def f(x):\n" + "    # f(1) -> 2\n" * 5000, "code") == "f. "
    assert gist("int f(" + "(" * 50_000, "code") == ". int f(" + "(" * (20_000 - 6)
