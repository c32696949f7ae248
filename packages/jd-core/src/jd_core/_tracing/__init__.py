"""Records what runs do, and says where the time went: as text, as a page, and as a trace for other tools."""
