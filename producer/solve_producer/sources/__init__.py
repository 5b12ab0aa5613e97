"""Which judges' own formats can be published?"""
