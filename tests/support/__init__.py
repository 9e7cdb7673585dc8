"""What tests share: most of them call one helper from here, so an API can change without touching hundreds of them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the repository
