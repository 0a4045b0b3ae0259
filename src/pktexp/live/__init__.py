"""What the API tells: samples of everything a second apart (sampler.py), and documents of them."""
