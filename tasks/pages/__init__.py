"""What people look at: the contact sheet, the gallery, exported folders."""
