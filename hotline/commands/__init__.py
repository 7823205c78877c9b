"""The commands an installer and a committee type, a module a subject."""
