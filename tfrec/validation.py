"""What is asked after each epoch, the same each time."""

import numpy as np

from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.impressions import Impressions


def validation_impressions(impressions: Impressions, settings: Settings) -> np.ndarray:
    """Returns the places of the val impressions of at most `validation_users` users, the same each time."""
    val = np.flatnonzero(impressions.is_role("val"))
    asked = some_users(np.unique(impressions.user_id[val]), settings)
    return val[np.isin(impressions.user_id[val], asked)]


def validation_positions(dataset: Dataset, settings: Settings) -> np.ndarray:
    """Returns the places of the val events of at most `validation_users` users, the same ones each time."""
    events = np.flatnonzero(dataset.sequences.is_role("val"))
    users = dataset.sequences.user_of_event[events]
    return events[np.isin(users, some_users(np.unique(users), settings))]


def some_users(users: np.ndarray, settings: Settings) -> np.ndarray:
    """Returns at most `validation_users` of these users, the same ones each time."""
    if len(users) <= settings.training.validation_users:
        return users
    random = np.random.default_rng(settings.seed)
    return random.choice(users, settings.training.validation_users, replace=False)
