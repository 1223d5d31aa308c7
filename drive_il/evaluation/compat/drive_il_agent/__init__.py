"""The agent's side: loads an agent file and answers for it.

Runs in the user's own interpreter (Python >= 3.7 with numpy) and imports nothing of drive_il.
"""
