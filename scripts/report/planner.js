function setUpPlanner(place, entries) { place.append(notice("The planner is not in this page.")); }
