"""What is handed out in a legal matter: numbered files, and the tables and texts that go with them. No database."""
