"""Who may do what: institutions and their people, studies and their review, definitions, consent, the verdict."""
