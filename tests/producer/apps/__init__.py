"""Small applications such as judges have, run by the tests as processes of their own."""
