"""A person sits down: driving by hand, teaching by hand, studies with several people."""
