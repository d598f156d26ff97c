"""Sealing and opening. Whatever is stored of an image is ciphertext under a key that dies with its minute."""
