CREATE INDEX tasks_by_list ON tasks (list_id);
