-- An event that mentions a user counts for that user, also if it counts for nobody else: an edit, say.
ALTER TABLE highlight ADD COLUMN is_extra boolean NOT NULL DEFAULT false;
