"""One module per engine; models.engine names them in a table and opens them."""
