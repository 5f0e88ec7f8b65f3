CREATE TABLE lists (
  id    serial PRIMARY KEY,
  title text NOT NULL
);

CREATE TABLE tasks (
  id      serial PRIMARY KEY,
  list_id integer NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
  title   text NOT NULL,
  done    boolean NOT NULL DEFAULT false,
  due     date
);
