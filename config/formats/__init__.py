"""How the desk writes numbers and times down: Django looks here by language, whatever the settings say."""
