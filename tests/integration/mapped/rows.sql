SELECT lead_id, text, created
FROM visits
WHERE text LIKE 'private-{{ params.kind }}%' AND lead_id > :least
