"""Does the hub have a model of this name? One short question before a model is loaded, instead of a client that tries for a minute.

Not here: loading (engines/), and whether a folder holds a sound model (weights.py, fitting.py).
"""

from __future__ import annotations

PATIENCE = 10.0  # seconds for the answer; ours


def fault_of_name(name: str) -> str | None:
    """What is wrong with a hub's name of a model, in words; None where the hub has it, or it was fetched before.

    A hub that answers late, or with a fault of its own, is left to the client that loads the model: it has more patience.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return None
        get_hf_file_metadata(hf_hub_url(name, "config.json"), timeout=PATIENCE)
    except HFValidationError:
        return f"'{name}' is neither a folder here nor a name that a hub can have (OWNER/NAME)"
    except GatedRepoError:
        return f"'{name}' is open only to those whom its owner lets in: ask on its page, then log in (HF_TOKEN)"
    except RepositoryNotFoundError:
        return f"'{name}' is no folder here, and {constants.ENDPOINT} has none of this name, or keeps it private (HF_TOKEN)"
    except EntryNotFoundError:
        return f"'{name}' at {constants.ENDPOINT} has no config.json, so it is no model that transformers can load"
    except OfflineModeIsEnabled:
        return f"'{name}' is no folder here and was never fetched, and HF_HUB_OFFLINE keeps the hub away"
    except HfHubHTTPError as error:
        lacks = error.response.status_code == 404
        return f"'{name}' is no folder here, and {constants.ENDPOINT} has none of this name" if lacks else None
    except Exception as error:  # the client's transport changes with its release, so its errors are known by name
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if not kinds & {"ConnectError", "ConnectTimeout", "ConnectionError"}:
            return None
        return f"'{name}' is no folder here and was never fetched, and {constants.ENDPOINT} cannot be reached ({error})"
    return None
